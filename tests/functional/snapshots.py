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

"""Snapshots through Nova's API, on whatever backend a class binds."""

import shlex

from novadocker.virt.docker.engine import model
from tests.functional import waiting

_LONG_COMMAND = 'sh -c "%s; sleep 1000"' % '; '.join(
    'echo line %d' % number for number in range(40))


class SnapshotScenarios:
    """Scenarios for NovaCase; each leaves the host as it found it."""

    def _failed_events(self, server):
        actions = '/servers/%s/os-instance-actions' % server['id']
        for action in self.api.api_get(actions).body['instanceActions']:
            shown = self.api.api_get('%s/%s' % (
                actions, action['request_id'])).body['instanceAction']
            yield from (event for event in shown['events']
                        if event['result'] == 'Error')

    def test_sparse_file_larger_than_the_disk(self):
        """Its holes would be written to the disk that all servers share."""
        server = self.boot(self.add_image(Cmd=[
            'sh', '-c', 'truncate -s 3000000000 /hole; sleep 1000']),
            networks='none')
        container = self.workload(server).id
        waiting.until(lambda: self.engine_client.written_bytes(container),
                      'the file is made')
        images = set(self.glance.images)
        state = self.backend.state()
        self.api.post_server_action(server['id'], {
            'createImage': {'name': 'snapshot'}})
        waiting.until(lambda: list(self._failed_events(server)),
                      'the snapshot is refused')
        event, = self._failed_events(server)
        self.assertRegex(event['details'], '2861 MiB .* only 1024 MiB fit')
        self._wait_for_server_parameter(
            server, {'OS-EXT-STS:task_state': None, 'status': 'ACTIVE'})
        self.assertEqual(state, self.backend.state())
        self.assertEqual(model.RUNNING, self.workload(server).state)
        self.assertEqual(images, set(self.glance.images))
        self._delete_all_and_compare(server)

    def test_long_command_survives_snapshot(self):
        server = self._boot_long()
        self._snapshot_server(server, 'snapshot')
        self.notifier.wait_for_versioned_notifications(
            'instance.snapshot.end')
        snapshot, = [image for image in self.glance.images.values()
                     if image['name'] == 'snapshot']
        snapshot['status'] = 'active'
        self.image_ids.append(snapshot['id'])
        self.assertEqual(_LONG_COMMAND,
                         snapshot['properties']['os_command_line'])
        again = self.boot(snapshot['id'], networks='none')
        self._assert_runs_it(again)
        self._delete_all_and_compare(server, again)

    def test_long_command_survives_shelving(self):
        self._shelve_and_unshelve(self._boot_long())

    def test_long_command_of_a_deleted_image_survives_shelving(self):
        server = self._boot_long()
        self.glance.delete(None, server['image']['id'])
        self._shelve_and_unshelve(server)

    def _boot_long(self):
        server = self.boot(self.add_image(properties={
            'os_command_line': _LONG_COMMAND}), networks='none')
        self._assert_runs_it(server)
        return server

    def _shelve_and_unshelve(self, server):
        server = self._shelve_server(
            server, expected_state='SHELVED_OFFLOADED')
        self.image_ids += self.glance.images
        server = self._unshelve_server(server)
        self._assert_runs_it(server)
        self._delete_all_and_compare(server)

    def _assert_runs_it(self, server):
        image = self.engine_client.get_image(self.engine_client.commit(
            self.workload(server).id, {}, pause=False))
        self.engine_client.remove_image(image.id)
        self.assertEqual(tuple(shlex.split(_LONG_COMMAND)), image.command)
