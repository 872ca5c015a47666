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

"""Every way to fail a boot that a tenant has, and what the tenant is told.

A row names a culprit that must be in the server's fault. Nova would put "no
valid host" there after a retry, so a fault that names the culprit is also one
that no other host was tried for. Nothing is left while the server, in ERROR,
is still there.
"""

import base64
from collections.abc import Mapping
import dataclasses
from unittest import mock
import uuid

from neutronclient.common import exceptions as neutron_exceptions
from nova import utils

from tests.data import archives as corpus
from tests.fakes import archives


@dataclasses.dataclass(frozen=True)
class Row:
    """``settings`` are of the image's config, ``flavor`` and ``server`` of
    the requests to Nova's API; ``culprit`` is lower case.
    """

    culprit: str
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    flavor: Mapping[str, int] = dataclasses.field(default_factory=dict)
    server: Mapping[str, object] = dataclasses.field(default_factory=dict)
    data: bytes | None = None


def prop(culprit: str, **properties: str) -> Row:
    return Row(culprit, properties=properties)


def config(culprit: str, **settings: object) -> Row:
    return Row(culprit, settings=settings)


def files(culprit: str, path: str) -> Row:
    return Row(culprit, server={'personality': [{
        'path': path, 'contents': base64.b64encode(b'x').decode()}]})


BYTES = (
    Row('no tar', data=b'no tar at all' * 1000),
    Row('archive', data=b''),
    Row('../../etc/passwd', data=archives.tar(
        {'../../etc/passwd': b'root::0:0::/:/bin/sh'})),
    Row('manifest', data=archives.tar({'readme': b'no image'})),
    Row('two members named "etc/passwd"',
        data=corpus.HOSTILE['path_twice_in_layer'].build()),
    Row('two members named "d"',
        data=corpus.HOSTILE['symlink_replaced_by_directory'].build()),
)
PROPERTIES = (
    prop('os_command_line', os_command_line='"x'),
    prop('docker_command', docker_command='["sh", 1]'),
    prop('docker_entrypoint', docker_entrypoint='[ -e /x ]'),
    prop('/no/such', docker_entrypoint='/no/such'),
    prop('docker_environment', docker_environment='A=1'),
    prop('docker_environment', docker_environment='{"A=B": "1"}'),
    prop('docker_workdir', docker_workdir='srv'),
    prop('docker_user', docker_user='-1'),
    prop('docker_init', docker_init='perhaps'),
    prop('hw_firmware_type', hw_firmware_type='uefi'),
)
CONFIGS = (
    config('entrypoint', Cmd=[]),
    config('/no/such', Cmd=['/no/such']),
    config('code 3', Cmd=['sh', '-c', 'echo at once; exit 3']),
)
FLAVORS = (
    Row('swap', flavor={'swap': 64}),
    Row('ephemeral', flavor={'ephemeral': 1}),
    Row('memory', flavor={'memory_mb': 4}),
)

# What the fake engine knows too little of: users, directories, the runtime.
ENGINES_PROPERTIES = (
    prop('nosuch', docker_user='nosuch'),
    prop('/x', docker_user='/x'),
    prop('/bin/busybox', docker_workdir='/bin/busybox'),
    prop('/bin', docker_entrypoint='/bin'),
)
ENGINES_CONFIGS = (
    config('nosuch', User='nosuch'),
    config('range', User='-1'),
    config('/x', User='/x'),
    config('/bin/busybox', WorkingDir='/bin/busybox'),
    config('absolute path', WorkingDir='../srv'),
    config('env', Env=['A=x\0y']),
    config('/bin', Cmd=['/bin']),
)
FILES = (
    files('not a directory', '/bin/busybox/below/a/file'),
)

# Odd, and no reason to fail.
HARMLESS = (
    Row('', server={'metadata': {'a b': 'c', '-:.': '', 'x': '$x`\u00fc'}}),
    Row('', server={'name': 'Gru\u00df an \u00d6zg\u00fcr; $(reboot)'}),
    Row('', server={'name': '\u540d' * 255}),
    Row('', server={'name': '\u00fc' * 255}),
    Row('', server={'user_data': base64.b64encode(
        bytes(range(256))).decode(), 'config_drive': True}),
    Row('', settings={'WorkingDir': '/srv/new/../dir'}),
    Row('', server={'personality': [{
        'path': '../../../escape', 'contents': ''}]}),
)


class BootFaultScenarios:
    """For NovaCase; ``engine_rows`` tells whether the engine is a real one.

    Rows share a cloud: each leaves it as it was.
    """

    engine_rows = True

    def setUp(self):
        super().setUp()
        self.flags(start_grace_period=2, group='docker')
        self.flags(num_retries=0, group='glance')

    def _post(self, row: Row):
        image = (self.add_archive(row.data) if row.data is not None else
                 self.add_image(properties=dict(row.properties),
                                **row.settings))
        flavor = self._create_flavor(
            name='odd-%s' % uuid.uuid4().hex[:8],
            **{'vcpu': 1, 'memory_mb': 64, 'disk': 1, 'ephemeral': 0,
               **row.flavor})
        body = self._build_server(
            image_uuid=image, flavor_id=flavor, networks=[
                {'uuid': self.neutron.network_1['id']}])
        # Later versions of the API take no files any more.
        with utils.temporary_mutation(self.api, microversion='2.56'):
            server = self.api.post_server({'server': {**body, **row.server}})
        self.server_ids.append(server['id'])
        return server

    def _boot(self, rows, state: str) -> list:
        """Boot all, then look; one by one, most of the time is waiting."""
        posted = [self._post(row) for row in rows]
        servers = [self._wait_for_state_change(server, state)
                   for server in posted]
        self.port_ids.update(self.neutron._ports)
        return servers

    def _delete(self, *servers) -> None:
        for server in servers:
            self.api.delete_server(server['id'])
        for server in servers:
            self._wait_until_deleted(server)

    def _check(self, *rows: Row) -> None:
        servers = self._boot(rows, 'ERROR')
        self.assertEqual([], [
            (row, server['fault']['message'])
            for row, server in zip(rows, servers)
            if row.culprit not in server['fault']['message'].lower()])
        self.assertEqual(self.before, self.backend.state())
        self._delete(*servers)

    def test_image_data(self):
        self._check(*BYTES)

    def test_data_that_is_not_what_glance_recorded(self):
        for change in ({'os_hash_value': '0' * 128}, {'size': 10 ** 6}):
            image = self.add_image()
            self.glance.images[image].update(change)
            self.glance.interfere = lambda blocks: [next(blocks)[:-100]]
            server = self.boot(image, expected_state='ERROR')
            self.assertIn('recorded', server['fault']['message'])
            self.assertEqual(1, self.glance.downloads.count(image))
            self.assertEqual(self.before, self.backend.state())
            self._delete_server(server)

    def test_image_that_is_gone(self):
        image = self.add_image()
        with mock.patch.object(
                self.glance, 'download',
                side_effect=lambda context, image_id, **how:
                self.glance.show(context, str(uuid.uuid4()))):
            server = self.boot(image, expected_state='ERROR')
        self.assertIn('could not be found', server['fault']['message'])
        self.assertEqual(self.before, self.backend.state())
        self._delete_server(server)

    def test_image_properties(self):
        self._check(*PROPERTIES)
        if self.engine_rows:
            self._check(*ENGINES_PROPERTIES)

    def test_image_config(self):
        self._check(*CONFIGS)
        if self.engine_rows:
            self._check(*ENGINES_CONFIGS)

    def test_flavors(self):
        self._check(*FLAVORS)

    def test_injected_files(self):
        if self.engine_rows:
            self._check(*FILES)

    def test_ports_that_neutron_refuses(self):
        """Among others for a name that is no DNS name to Neutron."""
        for error, culprit in (
                (neutron_exceptions.BadRequest(
                    message="Invalid input for dns_name. Reason: '\u00fc' "
                            'not a valid PQDN'), 'PQDN'),
                (neutron_exceptions.OverQuotaClient(), 'ports'),
                (neutron_exceptions.Conflict(message='taken'), 'taken')):
            with mock.patch.object(self.neutron, 'create_port',
                                   side_effect=error):
                server = self.boot(self.add_image(), expected_state='ERROR')
            self.assertIn(culprit, server['fault']['message'])
            self.assertEqual(self.before, self.backend.state())
            self._delete_server(server)

    def test_odd_and_harmless(self):
        self._delete(*self._boot(HARMLESS, 'ACTIVE'))
        self.prune_images()
        self.assertEqual(self.before, self.backend.state())
