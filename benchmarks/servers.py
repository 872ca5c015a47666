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

"""A driver without Nova around it, and what it needs to run servers."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import uuid

import fixtures
from nova import context as nova_context
from nova.network import model as network_model
from nova import objects
from nova.tests.unit import fake_instance
from nova.virt import fake as nova_fake

from novadocker import conf
from novadocker.virt.docker import driver
from tests.fakes import archives
from tests.fakes import ports
from tests.functional import engine

CONF = conf.CONF


CONTEXT = nova_context.RequestContext(
    'bench', 'bench', is_admin=True, auth_token='bench')


class Glance(fixtures.Fixture):
    """A Glance server, which Nova reaches by glanceclient as it does any."""

    def _setUp(self):
        self._directory = self.useFixture(fixtures.TempDir()).path
        server = subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.glance_server',
             self._directory], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.url = 'http://127.0.0.1:%s' % server.stdout.readline().strip()

    def add(self, image_id: str, path: str) -> dict:
        """Show a file as the data of an image; its record."""
        with open(path, 'rb') as data:
            digest = hashlib.file_digest(data, 'sha512').hexdigest()
        record = {'id': image_id, 'status': 'active', 'visibility': 'public',
                  'checksum': digest, 'os_hash_algo': 'sha512',
                  'os_hash_value': digest, 'size': os.path.getsize(path)}
        with open(self._path(image_id, 'json'), 'w') as target:
            json.dump(record, target)
        os.symlink(path, self._path(image_id, 'data'))
        return record

    def forget(self, image_id: str) -> None:
        """Remove the data of an image that was uploaded."""
        os.unlink(self._path(image_id, 'data'))

    def _path(self, image_id: str, ending: str) -> str:
        return os.path.join(self._directory, '%s.%s' % (image_id, ending))


@contextlib.contextmanager
def busybox(client):
    """The id of an image with a shell."""
    tag = 'novadocker-bench/%s:1' % uuid.uuid4().hex
    client.load([archives.image(tag, layer=engine.busybox(),
                                Cmd=['sleep', '1000'])])
    try:
        yield tag
    finally:
        client.remove_image(tag)


def new_driver(glance: Glance) -> driver.DockerDriver:
    """A driver that met its engine, and takes images from ``glance``."""
    CONF([], project='nova', default_config_files=[])
    objects.register_all()
    CONF.set_override('host_url', engine.URL, group='docker')
    CONF.set_override('api_servers', [glance.url], group='glance')
    return driver.DockerDriver(nova_fake.FakeVirtAPI())


def new_instance(image_id: str, root_gb: int = 0):
    flavor = objects.Flavor(name='bench', vcpus=1, memory_mb=64,
                            root_gb=root_gb, ephemeral_gb=0, swap=0,
                            extra_specs={})
    made = fake_instance.fake_instance_obj(
        nova_context.get_admin_context(), uuid=str(uuid.uuid4()),
        hostname='bench', flavor=flavor, image_ref=image_id,
        project_id='bench', user_id='bench', config_drive='')
    made.metadata = {}
    made.system_metadata = {}
    made.trusted_certs = None
    return made


def network_info(number: int, bridge: str) -> network_model.NetworkInfo:
    return network_model.NetworkInfo([ports.port(
        number, ports.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1'),
        bridge=bridge, active=True)])
