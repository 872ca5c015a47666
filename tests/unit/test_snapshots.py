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

"""Snapshots from the engine to Glance, with the whole driver."""

import io
import tarfile
from unittest import mock

import fixtures
from nova.compute import task_states
from nova.compute import vm_states
from nova import exception as nova_exception
from nova import objects
from nova import utils
from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import units

from novadocker.virt.docker import disksize
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.unit import driver_case


class SnapshotCase(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.states = []
        self.glance.create(None, {
            'id': uuids.snapshot, 'status': 'queued', 'properties': {}})
        self.told = []
        for verb in ('event_start', 'event_finish_with_failure'):
            self.useFixture(fixtures.MockPatchObject(
                objects.InstanceActionEvent, verb, side_effect=self._tell))

    def _tell(self, _context, uuid, event, exc_val=None, **_more):
        self.told.append((uuid, event, exc_val))

    def _update(self, task_state, expected_state=None):
        self.states.append((task_state, expected_state))

    def _snapshot(self, instance=None):
        self.driver.snapshot(self.context, instance or self.instance(),
                             uuids.snapshot, self._update)


class SnapshotTest(SnapshotCase):
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

    def _verbs(self):
        """What the engine was asked to do to containers, in short."""
        return [path.rpartition('/')[2]
                for method, path in self.fake_engine.calls
                if method == 'POST']

    def test_running_server_is_frozen_meanwhile(self):
        self.spawn()
        self._snapshot()
        self.assertEqual(['pause', 'commit', 'unpause'], self._verbs()[-3:])

    def test_paused_and_stopped_servers(self):
        instance = self.spawn()
        for change in (self.driver.pause, self.driver.power_off):
            change(instance)
            state = self.driver.get_info(instance, use_cache=False).state
            verbs = self._verbs()
            self._snapshot()
            self.assertEqual([*verbs, 'commit'], self._verbs())
            self.assertEqual(state, self.driver.get_info(
                instance, use_cache=False).state)

    def test_server_that_ends_meanwhile(self):
        self.spawn()
        self.fake_engine.fail_next('POST', '/containers/*/pause', 409)
        self._snapshot()

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
        self.assertRaises(nova_exception.InstanceNotRunning, self._snapshot)

    def test_commit_whose_answer_is_lost(self):
        self.spawn()
        before = self.state()
        self.fake_engine.drop_next('POST', '/commit', after=True)
        self.assertRaises(exception.EngineUnavailable, self._snapshot)
        self.assertEqual(before, self.state())

    def test_good_snapshot_is_kept_whatever_clean_up_meets(self):
        """Nova would delete the image that was uploaded."""
        self.spawn()
        self.fake_engine.fail_next('DELETE', '/images/*', 500)
        self._snapshot()
        self.assertTrue(self.glance.data(uuids.snapshot))
        self.fake_engine.drop_next('GET', '/images/json')
        self._snapshot()

    def test_clean_up_does_not_hide_what_went_wrong(self):
        self.spawn()
        self.fake_engine.fail_next('DELETE', '/images/*', 500)
        with mock.patch.object(self.glance, 'update',
                               side_effect=IOError('Glance is full')):
            self.assertRaisesRegex(IOError, 'full', self._snapshot)

    def test_failure_is_told_to_the_user(self):
        self.spawn()
        error = IOError('Glance is full')
        with mock.patch.object(self.glance, 'update', side_effect=error):
            self.assertRaises(IOError, self._snapshot)
        self.assertEqual(
            [(uuids.server, 'driver_snapshot', None),
             (uuids.server, 'driver_snapshot', error)], self.told)

    def test_failure_that_cannot_be_told(self):
        with mock.patch.object(self, 'told', None):
            self.assertRaises(nova_exception.InstanceNotRunning,
                              self._snapshot)


class SizeTest(SnapshotCase):
    """A tenant may make a file of terabytes without writing a byte."""

    def _spawn(self, holes_gib=2, root_gb=1):
        image = self.glance.add(uuids.holes, archives.image(Cmd=[
            'sh', '-c', 'truncate -s %d /hole; sleep 1000'
            % (holes_gib * units.Gi)]))
        instance = self.instance(image=image)
        self.spawn(instance)
        instance.flavor.root_gb = root_gb
        return instance

    def _assert_refused(self, instance, reason):
        before = self.state()
        self.fake_engine.calls.clear()
        self.assertRaisesRegex(disksize.DiskTooLarge, reason,
                               self._snapshot, instance)
        self.assertEqual(before, self.state())
        self.assertNotIn(('POST', '/commit'), self.fake_engine.calls)

    def test_sparse_file_larger_than_the_flavors_disk(self):
        self._assert_refused(self._spawn(),
                             '2048 MiB .* only 1024 MiB fit')
        self.assertFalse([path for _method, path in self.fake_engine.calls
                          if path.endswith('/pause')])

    def test_flavor_without_a_disk_size(self):
        instance = self._spawn(root_gb=0)
        self._snapshot(instance)
        self.flags(snapshot_max_size=1, group='docker')
        self._assert_refused(instance, 'only 1024 MiB fit')

    def test_shelved_server_has_to_fit_together_with_its_image(self):
        instance = self._spawn(holes_gib=0)
        instance.task_state = task_states.SHELVING
        with mock.patch.object(self.engine.store, 'size',
                               return_value=units.Gi - 1):
            self._snapshot(instance)
            self.client.put_archive(
                names.workload(uuids.server), '/',
                archives.tar({'file': b'two'}))
            self._assert_refused(instance, 'only 0 MiB fit')
        instance.task_state = task_states.IMAGE_SNAPSHOT
        self._snapshot(instance)

    def test_file_made_after_the_first_look(self):
        instance = self._spawn(holes_gib=0)
        with mock.patch.object(self.driver._client, 'written_bytes',
                               side_effect=[0, 2 * units.Gi]):
            self._assert_refused(instance, '2048 MiB')
        self.assertIn('unpause', [path.rpartition('/')[2] for _method, path
                                  in self.fake_engine.calls])


class PropertiesTest(SnapshotCase):
    """What Nova cut in the record of a snapshot is whole, or gone."""

    COMMAND = 'sh -c "%s sleep 1000"' % ('echo ready;' * 30)

    def _spawned(self):
        self.glance.images[self.image]['properties'] = {
            'os_command_line': self.COMMAND, 'note': 'n' * 300,
            'short': 'short'}
        instance = self.instance()
        instance.system_metadata = utils.get_system_metadata_from_image(
            self.glance.show(None, self.image))
        self.glance.images[uuids.snapshot]['properties'] = (
            utils.get_image_from_system_metadata(
                instance.system_metadata)['properties'])
        return self.spawn(instance)

    def _properties(self):
        properties = self.glance.show(None, uuids.snapshot)['properties']
        return {key: properties[key]
                for key in ('os_command_line', 'note', 'short')}

    def test_whole(self):
        self._snapshot(self._spawned())
        self.assertEqual({'os_command_line': self.COMMAND, 'note': 'n' * 300,
                          'short': 'short'}, self._properties())

    def test_what_nova_does_not_inherit_stays_out(self):
        instance = self._spawned()
        del self.glance.images[uuids.snapshot]['properties']['note']
        self._snapshot(instance)
        self.assertNotIn('note', self.glance.show(
            None, uuids.snapshot)['properties'])

    def test_image_that_was_deleted(self):
        """The snapshot's own config says what ran."""
        instance = self._spawned()
        del self.glance.images[self.image]
        self._assert_boots_the_same(instance)

    def test_property_that_was_changed(self):
        instance = self._spawned()
        self.glance.images[self.image]['properties'] = {
            'os_command_line': 'sleep 7', 'note': 'n' * 300}
        self._assert_boots_the_same(instance)

    def _assert_boots_the_same(self, instance):
        self._snapshot(instance)
        self.assertEqual('', self._properties()['os_command_line'])
        ran = self.engine.get(names.workload(uuids.server)).argv
        # As Nova unshelves: what it kept of the first image stays.
        self.driver.destroy(self.context, instance, self.network_info)
        instance.image_ref = self.glance.add(
            uuids.again, self.glance.data(uuids.snapshot),
            **self.glance.show(None, uuids.snapshot)['properties'])
        self.spawn(instance)
        self.assertEqual(
            ran, self.engine.get(names.workload(uuids.server)).argv)


class InterruptedTest(SnapshotCase):
    """nova-compute was killed amid a snapshot."""

    def _committed(self):
        workload = self.client.get_container(names.workload(uuids.server))
        return self.client.commit(workload.id, {
            names.LABEL_ROLE: 'snapshot',
            names.LABEL_HOST: driver_case.HOST})

    def _restart(self):
        self.driver.init_host(driver_case.HOST)

    def test_image(self):
        self.spawn()
        before = self.state()
        self._committed()
        self.assertNotEqual(before, self.state())
        self._restart()
        self.assertEqual(before, self.state())

    def test_image_that_cannot_be_removed(self):
        """One that a container uses is litter, and no reason not to start."""
        self.spawn()
        kept, other = self._committed(), self._committed()
        self.client.create(model.ContainerSpec(
            name='user', image=kept, labels={}, network_mode='none'))
        self._restart()
        self.assertIsNotNone(self.client.find_image(kept))
        self.assertIsNone(self.client.find_image(other))

    def test_engine_that_fails(self):
        for method, path in (('GET', '/images/json'),
                             ('GET', '/containers/json')):
            self.fake_engine.fail_next(method, path, 500)
            self._restart()

    def _state_after_restart(self, vm_state, task_state):
        instance = self.spawn()
        self.driver.pause(instance)
        instance.vm_state, instance.task_state = vm_state, task_state
        with mock.patch.object(objects.Instance, 'get_by_uuid',
                               return_value=instance):
            self._restart()
        return self.engine.get(names.workload(uuids.server)).state

    def test_frozen_server_is_thawed(self):
        self.assertEqual(model.RUNNING, self._state_after_restart(
            vm_states.ACTIVE, task_states.IMAGE_SNAPSHOT))

    def test_server_that_its_user_paused(self):
        self.assertEqual(model.PAUSED, self._state_after_restart(
            vm_states.PAUSED, task_states.IMAGE_SNAPSHOT))

    def test_server_that_somebody_froze(self):
        self.assertEqual(model.PAUSED, self._state_after_restart(
            vm_states.ACTIVE, None))

    def test_server_that_nova_forgot(self):
        self.driver.pause(self.spawn())
        with mock.patch.object(
                objects.Instance, 'get_by_uuid',
                side_effect=nova_exception.InstanceNotFound(
                    instance_id=uuids.server)):
            self._restart()
        self.assertEqual(model.PAUSED, self.engine.get(
            names.workload(uuids.server)).state)
