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
import uuid

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


class Glance:
    """As much of Nova's image API as the driver calls; data are files."""

    def __init__(self):
        self.records: dict[str, dict] = {}
        self.files: dict[str, str] = {}

    def get(self, _context, image_id: str) -> dict:
        return self.records[image_id]

    def download(self, _context, image_id: str, **_arguments):
        with open(self.files[image_id], 'rb') as data:
            while block := data.read(65536):
                yield block

    def update(self, _context, image_id: str, _record, data=None,
               **_arguments):
        with open(self.files[image_id], 'wb') as target:
            while block := data.read(65536):
                target.write(block)


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


def new_driver(glance) -> driver.DockerDriver:
    """A driver that met its engine, and takes images from ``glance``."""
    CONF([], project='nova', default_config_files=[])
    objects.register_all()
    CONF.set_override('host_url', engine.URL, group='docker')
    made = driver.DockerDriver(nova_fake.FakeVirtAPI())
    made._images._store._api = glance
    made._snapshots._store._api = glance
    return made


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
