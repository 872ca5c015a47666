# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Images from Glance to the engine and back, with the whole driver."""

import concurrent.futures
from unittest import mock

from nova import exception as nova_exception
from nova import objects
from nova import utils
from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import units

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker import imagestore
from novadocker.virt.docker import names
from tests.data import archives as corpus
from tests.fakes import archives
from tests.unit import driver_case


def _broken(blocks):
    """Glance goes away after the first block."""
    yield next(blocks)
    raise OSError('injected')


class LoadTest(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.flags(num_retries=1, group='glance')

    def _tags(self):
        return sorted(tag for image in self.client.list_images(
            'novadocker/*') for tag in image.tags)

    def _settings(self, image):
        """What containers inherit from an image in the engine."""
        return self.engine.store.get(names.image_tag(
            image, self.glance.show(None, image)['checksum'])).settings

    def test_name_in_the_archive_does_not_matter(self):
        """Two tenants' images of one name live side by side."""
        other = self.glance.add(uuids.other, archives.image(
            'busybox:latest', Cmd=['sh', '-c', 'sleep 5']))
        self.spawn()
        self.spawn(self.instance(uuids.second, other))
        self.assertIsNone(self.client.find_image('busybox:latest'))
        images = {self.client.get_container(
            names.workload(uuid)).image_id
            for uuid in (uuids.server, uuids.second)}
        self.assertEqual(2, len(images))

    def test_many_servers_download_and_load_once(self):
        instances = [self.instance(getattr(uuids, 'server%d' % number))
                     for number in range(20)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda each: self.spawn(each, network_info=[]),
                          instances))
        self.assertEqual([self.image], self.glance.downloads)
        self.assertEqual(1, self.fake_engine.calls.count(
            ('POST', '/images/load')))

    def test_glance_breaks_off_once(self):
        broken = iter([True])

        def interfere(blocks):
            return iter(()) if next(broken, False) else blocks

        self.glance.interfere = interfere
        self.spawn()
        self.assertEqual(2, len(self.glance.downloads))

    def test_glance_breaks_off_always(self):
        """Another host may have more luck."""
        before = self.state()
        self.glance.interfere = _broken
        error = self.assertRaises(imagestore.DownloadError, self.spawn)
        self.assertNotIsInstance(error, imagestore.DamagedData)
        self.assertEqual(2, len(self.glance.downloads))
        self.assertEqual(before, self.state())

    def test_data_that_glance_did_not_record(self):
        """Met again anywhere, so Nova need not try."""
        before = self.state()
        data = self.glance.data(self.image)
        for delivered, reason in (
                (b'', 'ends after 0 bytes'),
                (data[:-512], 'ends after %d bytes' % (len(data) - 512)),
                (data + bytes(512), 'larger than')):
            self.glance.interfere = lambda _blocks: iter([delivered])
            error = self.assertRaises(
                (nova_exception.BuildAbortException,
                 nova_exception.ImageUnacceptable), self.spawn)
            self.assertIn(reason, str(error))
            self.assertEqual(before, self.state())

    def test_hash_that_glance_recorded_is_of_other_data(self):
        before = self.state()
        self.glance.images[self.image]['os_hash_value'] = 'f' * 128
        self.assertRaisesRegex(nova_exception.BuildAbortException,
                               'another sha512', self.spawn)
        self.assertEqual(2, len(self.glance.downloads))
        self.assertEqual(before, self.state())

    def test_hostile_archive(self):
        before = self.state()
        image = self.glance.add(uuids.hostile, archives.tar(
            {'../../etc/passwd': b'root::0:0::/:/bin/sh'}))
        self.assertRaisesRegex(
            nova_exception.ImageUnacceptable, 'etc/passwd', self.spawn,
            self.instance(image=image))
        self.assertEqual([image], self.glance.downloads)
        self.assertEqual(before, self.state())

    def test_layer_that_has_to_be_read_twice(self):
        image = self.glance.add(
            uuids.zstd, corpus.zstd_layer_that_repeats_itself())
        self.spawn(self.instance(image=image))
        self.assertEqual([image] * 2, self.glance.downloads)
        self.assertIn('Env', self._settings(image))

    def test_what_the_image_declares_becomes_labels(self):
        layers = [archives.busybox()]
        image = self.glance.add(uuids.volumes, archives.save(
            archives.config(layers, Cmd=['sh'], Volumes={'/data': {}},
                            Healthcheck={'Test': ['CMD', 'true']}), layers))
        self.driver.cache_image(self.context, image)
        found = self._settings(image)
        self.assertFalse(found.get('Volumes'))
        self.assertFalse(found.get('Healthcheck'))
        self.assertEqual('["/data"]', found['Labels'][names.LABEL_VOLUMES])
        self.assertEqual(str(len(layers[0])),
                         found['Labels'][names.LABEL_UNPACKED_BYTES])

    def test_health_check_where_the_operator_allows_it(self):
        self.flags(allow_healthcheck=True, group='docker')
        layers = [archives.busybox()]
        image = self.glance.add(uuids.health, archives.save(
            archives.config(layers, Cmd=['sh'], Healthcheck={
                'Test': ['CMD', 'true'], 'Interval': 1}), layers))
        self.driver.cache_image(self.context, image)
        self.assertEqual(
            {'Test': ['CMD', 'true'], 'Interval': 10 ** 9},
            self._settings(image)['Healthcheck'])

    def test_other_architecture(self):
        layers = [archives.busybox()]
        image = self.glance.add(uuids.foreign, archives.save(
            archives.config(layers, 's390x', Cmd=['sh']), layers))
        self.assertRaisesRegex(
            nova_exception.ImageUnacceptable, 's390x', self.spawn,
            self.instance(image=image))

    def test_image_larger_than_the_flavors_disk(self):
        """Where reading it stops its size is not known."""
        before = self.state()
        with mock.patch.object(units, 'Gi', 4):
            self.assertRaisesRegex(
                nova_exception.ImageUnacceptable, 'more than 4 bytes',
                self.spawn)
        self.assertEqual(before, self.state())

    def test_loaded_image_larger_than_the_flavors_disk(self):
        image = self.glance.add(uuids.large, archives.image(
            layer=archives.tar({'bin/sh': b'x' * 5000})))
        self.driver.cache_image(self.context, image)
        before = self.state()
        with mock.patch.object(units, 'Gi', 4):
            self.assertRaisesRegex(
                nova_exception.FlavorDiskSmallerThanImage,
                'is 4 bytes, image is 5000', self.spawn,
                self.instance(image=image))
        self.assertEqual(before, self.state())

    def test_failed_clean_up_does_not_hide_the_reason(self):
        """Nova would take the engine's error for the host's, and go on."""
        self.kernel.fail_next('plug', OSError('injected'))
        self.fake_engine.fail_next('DELETE', '/images/*', 500)
        self.assertRaisesRegex(nova_exception.BuildAbortException,
                               'injected', self.spawn)

    def test_failed_spawn_keeps_an_image_that_another_uses(self):
        self.spawn()
        tags = self._tags()
        self.kernel.fail_next('plug', OSError('injected'))
        self.assertRaises(nova_exception.BuildAbortException, self.spawn,
                          self.instance(uuids.second))
        self.assertEqual(tags, self._tags())


class CacheTest(driver_case.DriverCase):
    def _prune(self, *instances, age=0):
        self.flags(remove_unused_original_minimum_age_seconds=age,
                   group='image_cache')
        self.driver.manage_image_cache(self.context, list(instances))

    def _cached(self):
        return self.client.find_image(names.image_tag(
            self.image, self.glance.show(None, self.image)['checksum']))

    def test_cache_image(self):
        self.assertTrue(self.driver.cache_image(self.context, self.image))
        self.assertFalse(self.driver.cache_image(self.context, self.image))
        self.spawn()
        self.assertEqual([self.image], self.glance.downloads)

    def test_cached_image_survives_a_boot_that_fails(self):
        self.driver.cache_image(self.context, self.image)
        self.kernel.fail_next('plug', OSError('injected'))
        self.assertRaises(nova_exception.BuildAbortException, self.spawn)
        self.assertIsNotNone(self._cached())

    def test_image_that_could_not_be_cached(self):
        before = self.state()
        self.fake_engine.fail_next('POST', '/images/load', 500, after=True)
        self.assertRaises(exception.EngineError, self.driver.cache_image,
                          self.context, self.image)
        self.assertEqual(before, self.state())

    def test_prune(self):
        self.driver.cache_image(self.context, self.image)
        self._prune(age=3600)
        self.assertIsNotNone(self._cached())
        self._prune()
        self.assertIsNone(self._cached())
        self.assertIsNotNone(self.client.find_image(names.SANDBOX_IMAGE))

    def test_prune_is_an_option_of_nova(self):
        self.flags(remove_unused_base_images=False, group='image_cache')
        self.driver.cache_image(self.context, self.image)
        self._prune()
        self.assertIsNotNone(self._cached())

    def test_image_in_use_stays(self):
        instance = self.spawn()
        self._prune(instance)
        self._prune()    # Nova forgot the server; its container is there
        self.assertIsNotNone(self._cached())

    def test_images_of_others_stay(self):
        self.client.load([archives.image('busybox:latest')])
        self._prune()
        self.assertIsNotNone(self.client.find_image('busybox:latest'))


class PropertiesTest(driver_case.DriverCase):
    def test_long_property_comes_whole_from_glance(self):
        """Nova keeps 255 characters of it."""
        command = 'sh -c "%s sleep 1000"' % ('echo ready;' * 30)
        self.glance.images[self.image]['properties'] = {
            'os_command_line': command}
        instance = self.instance()
        instance.system_metadata = {
            'image_os_command_line': command[:255]}
        self.spawn(instance)
        workload = self.engine.get(names.workload(uuids.server))
        self.assertEqual(command[7:-1], workload.argv[-1])

    def test_long_property_that_glance_has_no_longer(self):
        """The image itself then says what to run."""
        instance = self.instance()
        instance.system_metadata = {
            'image_os_command_line': 'sleep ' + '1' * 249,
            'image_docker_user': 'nobody'}
        self.spawn(instance)
        workload = self.engine.get(names.workload(uuids.server))
        self.assertEqual('echo ready; sleep 1000', workload.argv[-1])
        self.assertEqual('nobody', workload.config['User'])

    def test_nova_counts_bytes(self):
        command = 'echo %s' % ('\N{EURO SIGN}' * 100)
        self.glance.images[self.image]['properties'] = {
            'docker_user': 'root', 'os_command_line': command + '; sleep 9'}
        instance = self.instance()
        instance.system_metadata = utils.get_system_metadata_from_image(
            self.glance.show(None, self.image))
        self.assertEqual(254, len(instance.system_metadata[
            'image_os_command_line'].encode()))
        self.assertEqual(
            command + '; sleep 9', self.driver._images.properties(
                self.context, instance)['os_command_line'])


class TrustedCertsTest(driver_case.DriverCase):
    def test_certificates_of_the_server_reach_glance(self):
        instance = self.instance()
        instance.trusted_certs = objects.TrustedCerts(ids=['mine'])
        given = []

        def download(_context, _image_id, data=None, dst_path=None,
                     trusted_certs=None):
            given.append(trusted_certs.ids)
            data.write(self.glance.data(self.image))

        with mock.patch.object(self.glance, 'download', download):
            self.spawn(instance)
        self.assertEqual([['mine']], given)
