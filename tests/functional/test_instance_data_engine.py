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

"""What a server is given at its birth, seen from inside a real container."""

import base64

import fixtures

from novadocker.virt.docker import names
from tests.functional import nova_case
from tests.functional import waiting

_USER_DATA = b'#!/bin/sh\necho by user data\n'
_SHOW_CONFIG_DRIVE = (
    'cd /config-drive/openstack/latest; '
    'busybox cat meta_data.json user_data; '
    'busybox touch x || echo end; sleep 1000')


class InstanceDataEngineTest(nova_case.NovaCase):
    backend_class = nova_case.RealBackend

    def setUp(self):
        # Injected files are gone from the API since 2.57.
        self.useFixture(fixtures.MonkeyPatch(
            'tests.functional.nova_case.NovaCase.microversion', '2.56'))
        super().setUp()

    def _boot_and_read(self, script: str, **request) -> tuple:
        """A server that runs a script, and what it said before its "end"."""
        server = self.boot(self.add_image(Cmd=['sh', '-c', script]),
                           networks='none', **request)
        said = []

        def ended() -> bool:
            said[:] = [self.api.post_server_action(
                server['id'], {'os-getConsoleOutput': {}})['output']]
            return 'end' in said[0].split()
        waiting.until(ended, 'the script ended')
        return server, said[0]

    def test_config_drive(self):
        server, said = self._boot_and_read(
            _SHOW_CONFIG_DRIVE, config_drive=True,
            user_data=base64.b64encode(_USER_DATA).decode())
        self.assertIn('"uuid": "%s"' % server['id'], said)
        self.assertIn('echo by user data', said)
        self.assertIn('Read-only file system', said)
        self._delete_all_and_compare(server)

    def test_injected_files(self):
        server, said = self._boot_and_read(
            'busybox cat /etc/motd; busybox stat -c "%a %u" /etc/motd; '
            'echo end; sleep 1000',
            personality=[{'path': '/etc/motd', 'contents':
                          base64.b64encode(b'hello\n').decode()}])
        self.assertEqual(['hello', '600 0', 'end'], said.split('\n')[:3])
        self._delete_all_and_compare(server)

    def test_image_cached_ahead(self):
        """The first server of an image that was cached downloads nothing."""
        image = self.add_image(Cmd=['sh'])
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'docker'}})
        self.admin_api.add_host_to_aggregate(
            aggregate['id'], self.host_name)
        self.admin_api.microversion = '2.81'
        self.admin_api.api_post('/os-aggregates/%d/images' % aggregate['id'],
                                {'cache': [{'id': image}]},
                                check_response_status=[202])
        waiting.until(lambda: any(
            self._is_of(tag, image)
            for tag in nova_case.image_tags(self.engine_client)),
            'the image is in the engine')
        self.assertEqual([image], self.glance.downloads)
        server = self.boot(image, networks='none')
        self.assertEqual([image], self.glance.downloads)
        self._delete_all_and_compare(server)

    def _is_of(self, tag: str, image: str) -> bool:
        return names.image_id_of_tag(tag) == image
