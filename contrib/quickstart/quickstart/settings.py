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


"""Where things are, on which ports, and with which secrets.

Nothing here touches a process or the network; the only file written is the
one with the secrets, so that a second run finds the same ones.
"""

import dataclasses
import hashlib
import json
import pathlib
import secrets

REGION = 'RegionOne'
LOOPBACK = '127.0.0.1'
DEFAULT_DIRECTORY = '/var/lib/novadocker-quickstart'
_DEFAULT_HOST = 'novadocker-quickstart'

QUICKSTART = pathlib.Path(__file__).resolve().parents[1]
CHECKOUT = QUICKSTART.parents[1]
TEMPLATES = QUICKSTART / 'templates'

# None of them is a default of the software behind it, so that a cloud or a
# database that this machine already runs is left alone.
PORTS = {
    'keystone': 15000,
    'glance': 19292,
    'placement': 18778,
    'neutron': 19696,
    'nova': 18774,
    'nova-metadata': 18775,
    'nova-serialproxy': 16083,
    'rabbitmq': 15679,
    'rabbitmq-distribution': 15680,
    'epmd': 14369,
    'heat': 18004,
}

PUBLIC_CIDR = '172.24.4.0/24'
PUBLIC_GATEWAY = '172.24.4.1'
PUBLIC_POOL = ('172.24.4.10', '172.24.4.250')
PRIVATE_CIDR = '10.10.0.0/24'
PRIVATE_GATEWAY = '10.10.0.1'
# Beside the private network, which is not of this pool.
POOL_CIDR = '10.20.0.0/16'
PRIVATE_DNS = '9.9.9.9'
PUBLIC_BRIDGE = 'br-ex'
INTEGRATION_BRIDGE = 'br-int'

ENGINE_SOCKET = '/var/run/docker.sock'
IMAGE_TAG = 'novadocker-quickstart/ssh:latest'

TEMPEST_REGEX = (
    'tempest.api.compute.servers.(test_create_server|test_server_actions|'
    'test_servers|test_delete_server|test_list_server_filters)')

DATABASES = ('keystone', 'glance', 'placement', 'neutron', 'nova_api',
             'nova_cell0', 'nova')
SERVICE_USERS = ('glance', 'placement', 'neutron', 'nova')
_SECRETS = ('admin', 'demo', 'metadata', 'rabbitmq', 'erlang',
            'database', *SERVICE_USERS)

# A path of a unix socket may have 107 bytes; this leaves room for the
# longest one below the data directory.
_LONGEST_DIRECTORY = 64


@dataclasses.dataclass(frozen=True)
class Settings:
    """One quickstart cloud: everything is derived from its directory."""

    directory: pathlib.Path
    dev: bool = False
    with_heat: bool = False

    @property
    def host(self) -> str:
        """What Nova and OVN call this machine.

        Containers are told apart by it, so that every cloud has its own.
        """
        if str(self.directory) == DEFAULT_DIRECTORY:
            return _DEFAULT_HOST
        digest = hashlib.sha256(str(self.directory).encode())
        return '%s-%s' % (_DEFAULT_HOST, digest.hexdigest()[:8])

    @property
    def venv(self) -> pathlib.Path:
        return self.directory / 'venv'

    @property
    def tempest_venv(self) -> pathlib.Path:
        return self.directory / 'tempest-venv'

    @property
    def tempest(self) -> pathlib.Path:
        return self.directory / 'tempest'

    @property
    def etc(self) -> pathlib.Path:
        return self.directory / 'etc'

    @property
    def log(self) -> pathlib.Path:
        return self.directory / 'log'

    @property
    def run(self) -> pathlib.Path:
        return self.directory / 'run'

    @property
    def state(self) -> pathlib.Path:
        return self.directory / 'state'

    @property
    def ovs(self) -> pathlib.Path:
        return self.run / 'ovs'

    @property
    def database_socket(self) -> pathlib.Path:
        return self.run / 'mariadb' / 'mariadb.sock'

    @property
    def clouds(self) -> pathlib.Path:
        return self.directory / 'clouds.yaml'

    @property
    def openrc(self) -> pathlib.Path:
        return self.directory / 'openrc'

    @property
    def keypair(self) -> pathlib.Path:
        return self.directory / 'id_quickstart'

    def tool(self, name: str) -> str:
        """Path of a program of the cloud's virtualenv."""
        return str(self.venv / 'bin' / name)

    def url(self, service: str) -> str:
        return 'http://%s:%d' % (LOOPBACK, PORTS[service])

    def secrets(self) -> dict[str, str]:
        """Passwords by name; invented at the first call, then kept."""
        path = self.etc / 'secrets.json'
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(
                {name: secrets.token_hex(16) for name in _SECRETS}))
        return json.loads(path.read_text())

    def database_url(self, database: str) -> str:
        return 'mysql+pymysql://%s:%s@localhost/%s?unix_socket=%s' % (
            'quickstart', self.secrets()['database'], database,
            self.database_socket)

    def values(self) -> dict[str, str]:
        """What the templates below ``templates/`` may refer to."""
        values = {
            'checkout': CHECKOUT, 'directory': self.directory,
            'venv': self.venv, 'etc': self.etc, 'log': self.log,
            'run': self.run, 'state': self.state, 'ovs': self.ovs,
            'host': self.host, 'loopback': LOOPBACK, 'region': REGION,
            'engine_socket': ENGINE_SOCKET, 'openrc': self.openrc,
            'clouds': self.clouds,
        }
        values.update({'password_' + name: secret
                       for name, secret in self.secrets().items()})
        values.update({'database_' + name: self.database_url(name)
                       for name in DATABASES})
        for name, port in PORTS.items():
            key = name.replace('-', '_')
            values['port_' + key] = port
            values['url_' + key] = self.url(name)
        return {key: str(value) for key, value in values.items()}


def directory_too_long(directory: pathlib.Path) -> bool:
    """Whether unix sockets below the directory would not fit."""
    return len(str(directory)) > _LONGEST_DIRECTORY
