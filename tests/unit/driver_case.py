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

"""The whole driver on the fake engine and kernel, without Nova around it."""

import contextlib

import fixtures
from nova import context as nova_context
from nova.network import model as network_model
from nova import objects
from nova.tests.unit import fake_instance
from nova.virt import fake as nova_fake
from oslo_utils.fixture import uuidsentinel as uuids

from novadocker.virt.docker import driver
from tests import base
from tests.fakes import archives
from tests.fakes import engine_http
from tests.fakes import glance
from tests.fakes import kernel
from tests.fakes import ports

HOST = 'host-1'


class VirtAPI(nova_fake.FakeVirtAPI):
    """Neutron's events come at once, or never."""

    def __init__(self):
        super().__init__()
        self.awaited: list = []
        self.failure: Exception | None = None
        self.when_wired = lambda: None

    @contextlib.contextmanager
    def wait_for_instance_event(self, instance, event_names, timeout=300,
                                error_callback=None):
        self.awaited += event_names
        yield
        self.when_wired()
        if self.failure and event_names:
            raise self.failure


class DriverCase(base.TestCase):
    """``driver`` has met its engine; ``spawn`` boots a server on it."""

    def setUp(self):
        super().setUp()
        self.fake_engine = self.useFixture(engine_http.FakeEngine())
        self.engine = self.fake_engine.engine
        self.kernel = self.useFixture(kernel.FakeKernel())
        self.glance = self.useFixture(glance.StreamingGlance(self))
        self.flags(host_url=self.fake_engine.url, start_grace_period=0.2,
                   group='docker')
        self.flags(instances_path=self.useFixture(fixtures.TempDir()).path)
        self.context = nova_context.get_admin_context()
        self.virtapi = VirtAPI()
        self.driver = driver.DockerDriver(self.virtapi)
        self.driver.init_host(HOST)
        self.client = self.fake_engine.client
        self.image = self.glance.add(uuids.image, archives.image(
            'busybox:latest', Cmd=['sh', '-c', 'echo ready; sleep 1000']))
        self.network_info = network_model.NetworkInfo([ports.port(
            1, ports.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1',
                            dns=('10.0.0.2',)))])

    def state(self) -> dict:
        """All that a server could leave behind."""
        return {'engine': self.engine.snapshot(),
                'kernel': self.kernel.state()}

    def instance(self, uuid=uuids.server, image=None, **extra_specs):
        flavor = objects.Flavor(
            name='tiny', vcpus=1, memory_mb=64, root_gb=1, ephemeral_gb=0,
            swap=0, extra_specs=extra_specs)
        made = fake_instance.fake_instance_obj(
            self.context, uuid=uuid, hostname='web-1', flavor=flavor,
            image_ref=image or self.image, project_id='project',
            user_id='user', config_drive='')
        made.metadata = {}
        made.system_metadata = {}
        made.trusted_certs = None
        return made

    def spawn(self, instance=None, **arguments):
        instance = instance or self.instance()
        image_meta = objects.ImageMeta.from_dict(
            self.glance.show(None, instance.image_ref))
        self.driver.spawn(
            self.context, instance, image_meta, [], None, {},
            **{'network_info': self.network_info, **arguments})
        return instance
