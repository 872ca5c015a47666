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

"""A server's life through Nova's API, on whatever backend a class binds."""

import io
import json
import tarfile

from nova.compute import power_state
from nova.tests.functional.api import client
from oslo_serialization import jsonutils

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from tests.fakes import archives


class LifecycleScenarios:
    """Scenarios for NovaCase; each leaves the host as it found it."""

    def test_boot_and_delete(self):
        image = self.add_image('busybox:latest', Cmd=['sh'])
        server = self.boot(image)
        workload = self.workload(server)
        self.assertEqual(model.RUNNING, workload.state)
        self.assertEqual(server['id'], workload.labels[names.LABEL_UUID])
        self.assertEqual(self.host_name, workload.labels[names.LABEL_HOST])
        self.assertEqual(image, workload.labels[names.LABEL_IMAGE])
        sandbox = self.engine_client.get_container(
            names.sandbox(server['id']))
        self.assertEqual(sandbox.id, workload.network_owner)
        self.assertEqual([server['id']], self.driver.list_instance_uuids())
        self.assertEqual(1, self.driver.get_num_instances())
        self._delete_all_and_compare(server)

    def test_console_log(self):
        image = self.add_image(Cmd=['sh', '-c', 'echo ready; sleep 1000'])
        server = self.boot(image)
        answer = self.api.post_server_action(
            server['id'], {'os-getConsoleOutput': {}})
        self.assertEqual('ready', answer['output'].strip())
        self._delete_all_and_compare(server)

    def test_stop_and_start(self):
        server = self.boot(self.add_image())
        before = self.workload(server)
        server = self._stop_server(server)
        self.assertEqual(model.EXITED, self.workload(server).state)
        server = self._start_server(server)
        after = self.workload(server)
        self.assertEqual(model.RUNNING, after.state)
        self.assertEqual(before.id, after.id)
        self._delete_all_and_compare(server)

    def test_reboot_soft_and_hard(self):
        server = self.boot(self.add_image())
        for hard in (False, True):
            before = self.workload(server)
            server = self._reboot_server(server, hard=hard)
            after = self.workload(server)
            self.assertEqual(before.id, after.id)
            self.assertNotEqual(before.started_at, after.started_at)
            self.assertEqual(model.RUNNING, after.state)
        self._delete_all_and_compare(server)

    def test_hard_reboot_from_any_state(self):
        server = self.boot(self.add_image())
        workload = self.workload(server)
        sandbox = self.engine_client.get_container(
            names.sandbox(server['id']))
        for spoil in (lambda: self.engine_client.pause(workload.id),
                      lambda: self.engine_client.kill(workload.id),
                      lambda: self.engine_client.kill(sandbox.id)):
            spoil()
            server = self._reboot_server(server, hard=True)
            self.assertEqual(model.RUNNING, self.workload(server).state)
            self.assertEqual(model.RUNNING, self.engine_client.get_container(
                sandbox.id).state)
        self._delete_all_and_compare(server)

    def test_sandbox_removed_by_hand(self):
        """The server keeps its file system and gets a new sandbox."""
        server = self.boot(self.add_image())
        before = self.workload(server)
        self.engine_client.remove(names.sandbox(server['id']))
        server = self._reboot_server(server, hard=True)
        after = self.workload(server)
        self.assertEqual(model.RUNNING, after.state)
        self.assertNotEqual(before.network_owner, after.network_owner)
        self.assertEqual(before.labels, after.labels)
        self._delete_all_and_compare(server)

    def test_pause_and_unpause(self):
        server = self.boot(self.add_image())
        self.api.post_server_action(server['id'], {'pause': {}})
        server = self._wait_for_state_change(server, 'PAUSED')
        self.assertEqual(model.PAUSED, self.workload(server).state)
        self.assertEqual(power_state.PAUSED,
                         server['OS-EXT-STS:power_state'])
        self.api.post_server_action(server['id'], {'unpause': {}})
        server = self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual(model.RUNNING, self.workload(server).state)
        self._delete_all_and_compare(server)

    def test_rebuild(self):
        server = self.boot(self.add_image())
        before = self.workload(server)
        other = self.add_image(Cmd=['sh', '-c', 'sleep 1000'])
        server = self._rebuild_server(server, other)
        after = self.workload(server)
        self.assertNotEqual(before.id, after.id)
        self.assertEqual(other, after.labels[names.LABEL_IMAGE])
        self._delete_all_and_compare(server)

    def test_snapshot_and_boot_from_it(self):
        server = self.boot(self.add_image())
        self.engine_client.put_archive(
            self.workload(server).id, '/', archives.tar({'kept': b'data'}))
        self._snapshot_server(server, 'snapshot')
        self.notifier.wait_for_versioned_notifications(
            'instance.snapshot.end')
        snapshot = self._active_image('snapshot')
        again = self.boot(snapshot, networks='none')
        self.assertEqual(snapshot,
                         self.workload(again).labels[names.LABEL_IMAGE])
        self.assertEqual({'kept'}, self._files(snapshot) & {'kept'})
        self._delete_all_and_compare(server, again)

    def test_backup_rotation(self):
        server = self.boot(self.add_image(), networks='none')
        for name in ('monday', 'tuesday'):
            self.api.post_server_action(server['id'], {'createBackup': {
                'name': name, 'backup_type': 'daily', 'rotation': 1}})
            self._wait_for_server_parameter(
                server, {'OS-EXT-STS:task_state': None})
        kept = {image['name'] for image in self.glance.images.values()}
        self.assertIn('tuesday', kept)
        self.assertNotIn('monday', kept)
        self._delete_all_and_compare(server)

    def _active_image(self, name):
        image, = [image for image in self.glance.images.values()
                  if image['name'] == name]
        self.assertEqual(('docker', 'raw'), (image['container_format'],
                                             image['disk_format']))
        self.image_ids.append(image['id'])
        image['status'] = 'active'
        return image['id']

    def _files(self, image_id) -> set[str]:
        """Names in all layers of an image in Glance."""
        found = set()
        with tarfile.open(fileobj=io.BytesIO(
                self.glance.data(image_id))) as archive:
            manifest, = json.load(archive.extractfile('manifest.json'))
            for layer in manifest['Layers']:
                with tarfile.open(fileobj=archive.extractfile(
                        layer)) as files:
                    found.update(files.getnames())
        return found

    def test_shelve_and_unshelve(self):
        self.flags(shelved_offload_time=0)
        server = self.boot(self.add_image(), networks='none')
        self.api.post_server_action(server['id'], {'shelve': {}})
        server = self._wait_for_state_change(server, 'SHELVED_OFFLOADED')
        self.assertEqual([], self.driver.list_instance_uuids())
        self._active_image('%s-shelved' % server['name'])
        self.api.post_server_action(server['id'], {'unshelve': None})
        server = self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual(model.RUNNING, self.workload(server).state)
        self._delete_all_and_compare(server)

    def test_delete_in_other_states(self):
        paused = self.boot(self.add_image())
        stopped = self.boot(self.add_image(), networks='none')
        self.engine_client.pause(self.workload(paused).id)
        self._stop_server(stopped)
        self._delete_all_and_compare(paused, stopped)

    def test_delete_of_a_container_that_is_gone(self):
        server = self.boot(self.add_image())
        self.engine_client.remove(self.workload(server).id)
        self._delete_all_and_compare(server)

    def test_process_that_exits_at_once(self):
        image = self.add_image(
            Cmd=['sh', '-c', 'echo no such database; exit 3'])
        self.flags(start_grace_period=5, group='docker')
        server = self.boot(image, expected_state='ERROR')
        self.assertIn('code 3', server['fault']['message'])
        self.assertIn('no such database', server['fault']['message'])
        self._delete_all_and_compare(server)

    def test_command_that_is_not_in_the_image(self):
        server = self.boot(self.add_image(Cmd=['/no/such/program']),
                           expected_state='ERROR')
        self.assertIn('/no/such/program', server['fault']['message'])
        self._delete_all_and_compare(server)

    def test_image_that_is_no_archive(self):
        image = self.add_archive(b'no tar at all' * 1000)
        server = self.boot(image, expected_state='ERROR')
        self.assertIn(image, server['fault']['message'])
        self._delete_all_and_compare(server)

    def test_image_data_that_glance_garbles(self):
        self.flags(num_retries=1, group='glance')
        image = self.add_image()
        self.glance.images[image]['os_hash_value'] = '0' * 128
        server = self.boot(image, expected_state='ERROR')
        self.assertEqual(2, self.glance.downloads.count(image))
        self._delete_all_and_compare(server)

    def test_one_download_for_many_servers(self):
        image = self.add_image()
        servers = [self.boot(image, networks='none') for _ in range(3)]
        self.assertEqual(1, self.glance.downloads.count(image))
        self._delete_all_and_compare(*servers)

    def test_environment_and_properties(self):
        image = self.add_image(properties={
            'os_command_line': jsonutils.dumps(['sh', '-c', 'sleep 1000']),
            'docker_environment': jsonutils.dumps({'GREETING': 'hello'}),
            'docker_workdir': '/bin', 'docker_init': 'false'})
        server = self.boot(image, networks='none')
        told = self.backend.inspect(names.workload(server['id']))
        self.assertEqual(['sh', '-c', 'sleep 1000'], told['Config']['Cmd'])
        self.assertIn('GREETING=hello', told['Config']['Env'])
        self.assertEqual('/bin', told['Config']['WorkingDir'])
        self.assertFalse(told['HostConfig']['Init'])
        self._delete_all_and_compare(server)

    def test_refusals_leave_the_server_running(self):
        server = self.boot(self.add_image(), networks='none')
        self.assertRaises(
            client.OpenStackApiException, self.api.post_server_action,
            server['id'], {'trigger_crash_dump': None})
        server = self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual(model.RUNNING, self.workload(server).state)
        self._delete_all_and_compare(server)

    def test_restart_of_the_service_loses_nothing(self):
        server = self.boot(self.add_image())
        before = self.workload(server)
        self.compute.stop()
        self.compute = self._start_compute(self.host_name)
        after = self.workload(server)
        self.assertEqual(before.started_at, after.started_at)
        server = self._stop_server(server)
        server = self._start_server(server)
        self._delete_all_and_compare(server)
