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
import io
import tarfile
from unittest import mock

from nova.compute import task_states
from nova import exception as nova_exception
from nova import objects
from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import units

from novadocker.virt.docker import imagestore
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.unit import driver_case


class LoadTest(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.flags(num_retries=1, group='glance')

    def _tags(self):
        return sorted(tag for image in self.client.list_images(
            'novadocker/*') for tag in image.tags)

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
        before = self.state()
        self.glance.interfere = lambda blocks: iter(())
        self.assertRaises(imagestore.DownloadError, self.spawn)
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

    def test_other_architecture(self):
        layers = [archives.busybox()]
        image = self.glance.add(uuids.foreign, archives.save(
            archives.config(layers, 's390x', Cmd=['sh']), layers))
        self.assertRaisesRegex(
            nova_exception.ImageUnacceptable, 's390x', self.spawn,
            self.instance(image=image))

    def test_image_larger_than_the_flavors_disk(self):
        instance = self.instance()
        instance.flavor.root_gb = 1
        before = self.state()
        with mock.patch.object(units, 'Gi', 4):
            self.assertRaises(
                (nova_exception.FlavorDiskSmallerThanImage,
                 nova_exception.ImageUnacceptable), self.spawn, instance)
        self.assertEqual(before, self.state())

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


class SnapshotTest(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.states = []
        self.glance.create(None, {
            'id': uuids.snapshot, 'status': 'queued', 'properties': {}})

    def _update(self, task_state, expected_state=None):
        self.states.append((task_state, expected_state))

    def _snapshot(self, instance=None):
        self.driver.snapshot(self.context, instance or self.instance(),
                             uuids.snapshot, self._update)

    def test_snapshot_boots_again(self):
        self.spawn()
        before = self.state()
        self._snapshot()
        self.assertEqual(before, self.state())
        self.assertEqual(
            [(task_states.IMAGE_PENDING_UPLOAD, None),
             (task_states.IMAGE_UPLOADING,
              task_states.IMAGE_PENDING_UPLOAD)], self.states)
        record = self.glance.show(None, uuids.snapshot)
        self.assertEqual('docker', record['container_format'])
        self.assertEqual('raw', record['disk_format'])
        again = self.glance.add(uuids.again,
                                self.glance.data(uuids.snapshot))
        self.spawn(self.instance(uuids.second, again))

    def test_running_server_is_frozen_meanwhile(self):
        self.spawn()
        self._snapshot()
        self.assertEqual(['1'], self._commit()['pause'])

    def test_paused_and_stopped_servers(self):
        instance = self.spawn()
        for change in (self.driver.pause, self.driver.power_off):
            change(instance)
            state = self.driver.get_info(instance, use_cache=False).state
            self._snapshot()
            self.assertEqual(['0'], self._commit()['pause'])
            self.assertEqual(state, self.driver.get_info(
                instance, use_cache=False).state)

    def _commit(self):
        positions = [position for position, (_method, path)
                     in enumerate(self.fake_engine.calls)
                     if path == '/commit']
        return self.fake_engine.queries[positions[-1]]

    def test_archive_holds_one_image_under_our_name(self):
        self.spawn()
        self._snapshot()
        with tarfile.open(fileobj=io.BytesIO(
                self.glance.data(uuids.snapshot))) as archive:
            manifest = archive.extractfile('manifest.json').read().decode()
            config = archive.extractfile('config.json').read().decode()
        self.assertIn('nova-snapshot:%s' % uuids.snapshot, manifest)
        self.assertNotIn(uuids.server, manifest + config)
        self.assertNotIn(names.LABEL_PREFIX, config)

    def test_layers_grow_by_one_a_generation(self):
        image, counts = self.image, []
        for generation in range(3):
            uuid = getattr(uuids, 'server%d' % generation)
            self.spawn(self.instance(uuid, image), network_info=[])
            self._snapshot(self.instance(uuid, image))
            data = self.glance.data(uuids.snapshot)
            image = self.glance.add(getattr(uuids, 'image%d' % generation),
                                    data)
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                counts.append(len(archive.getnames()))
        self.assertEqual([counts[0], counts[0] + 1, counts[0] + 2], counts)

    def test_failed_upload_leaves_nothing(self):
        self.spawn()
        before = self.state()
        with mock.patch.object(self.glance, 'update',
                               side_effect=IOError('Glance is full')):
            self.assertRaises(IOError, self._snapshot)
        self.assertEqual(before, self.state())

    def test_deleted_meanwhile(self):
        """Nova's own refusal passes unchanged."""
        self.spawn()
        before = self.state()
        with mock.patch.object(
                self, '_update',
                side_effect=nova_exception.UnexpectedDeletingTaskStateError(
                    instance_uuid='x', expected={}, actual={})):
            self.assertRaises(
                nova_exception.UnexpectedDeletingTaskStateError,
                self._snapshot)
        self.assertEqual(before, self.state())

    def test_no_container(self):
        self.assertRaises(inventory.DiskLost, self._snapshot)

    def test_leftover_of_a_killed_process(self):
        self.spawn()
        before = self.state()
        workload = self.client.get_container(names.workload(uuids.server))
        self.client.commit(workload.id, {
            names.LABEL_ROLE: 'snapshot',
            names.LABEL_HOST: driver_case.HOST})
        self.assertNotEqual(before, self.state())
        self.driver.init_host(driver_case.HOST)
        self.assertEqual(before, self.state())


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
