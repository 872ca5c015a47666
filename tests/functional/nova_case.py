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

"""Nova in one process, with our driver, an engine and a network below it.

The services, the database and Placement are Nova's own; Glance streams;
Neutron is Nova's fixture. What is below the driver comes from a backend:
fakes that need neither root nor engine, or the real things.
"""

import os
import pathlib
import sys
import types
import uuid

import fixtures
from nova.tests.functional import integrated_helpers

from novadocker.virt.docker import names
from tests.fakes import archives
from tests.fakes import engine_http
from tests.fakes import glance
from tests.fakes import kernel
from tests.functional import engine as real_engine
from tests.functional import network as real_network

DRIVER = 'novadocker.virt.docker.DockerDriver'


class FakeBackend:
    """An engine and a kernel that are state machines in this process."""

    def start_engine(self, case) -> None:
        self._engine = case.useFixture(engine_http.FakeEngine())
        self.engine_url = self._engine.url
        self.client = self._engine.client

    def start_network(self, case) -> None:
        self._kernel = case.useFixture(kernel.FakeKernel())

    def image(self, *tags: str, **settings) -> bytes:
        """An archive of a small image, as "docker save" writes it."""
        return archives.image(*tags, **settings)

    def inspect(self, container: str) -> dict:
        """The engine's own account of a container."""
        return self._engine.engine.inspect(container)

    def state(self) -> dict:
        """All that a server could leave behind."""
        return {'engine': self._engine.engine.snapshot(),
                'kernel': self._kernel.state()}


class RealBackend:
    """Docker Engine and Open vSwitch of this machine.

    Others use the engine meanwhile, so state is limited to what a test's own
    host and images could leave.
    """

    def start_engine(self, case) -> None:
        self._engine = engine = case.useFixture(real_engine.RealEngine())
        self._case = case
        self.engine_url = engine.url
        self.client = engine.client
        # Nova's test case forgets its attributes before it cleans up.
        case.addCleanup(self._remove_leftovers, case.host_name,
                        case.image_ids)

    def _remove_leftovers(self, host: str, image_ids: list[str]) -> None:
        """What a test that failed did not come to delete."""
        for container in self.client.list_containers(
                {names.LABEL_HOST: host}):
            self.client.remove(container.id)
            pathlib.Path(names.netns_link(container.labels[
                names.LABEL_UUID])).unlink(missing_ok=True)
        for image in self.client.list_images(names.IMAGE_NAMESPACE + '/*'):
            for tag in image.tags:
                if names.image_id_of_tag(tag) in image_ids:
                    self.client.remove_image(tag)

    def start_network(self, case) -> None:
        self._network = case.useFixture(real_network.RealNetwork(case.flags))

    def image(self, *tags: str, **settings) -> bytes:
        return archives.image(
            *tags, layer=real_engine.busybox(), **settings)

    def inspect(self, container: str) -> dict:
        return self._engine.inspect(container)

    def state(self) -> dict:
        return {
            'containers': self.client.list_containers(
                {names.LABEL_HOST: self._case.host_name}),
            'images': [
                tag for tag in image_tags(self.client)
                if names.image_id_of_tag(tag) in self._case.image_ids],
            'network': self._network.state(
                self._case.server_ids, self._case.port_ids),
        }


def image_tags(client) -> list[str]:
    """Every tag of the driver's on the engine."""
    return sorted(tag for image in client.list_images(
        names.IMAGE_NAMESPACE + '/*') for tag in image.tags)


class NovaCase(integrated_helpers._IntegratedTestBase):
    """A cloud with one compute host; bind ``backend_class`` to use it."""

    api_major_version = 'v2.1'
    microversion = 'latest'
    ADMIN_API = True
    backend_class: type

    def setUp(self):
        # A host of its own keeps tests from seeing each other's containers.
        self.host_name = 'host-%s' % uuid.uuid4().hex[:12]
        self.image_ids: list[str] = []
        self.server_ids: list[str] = []
        self.port_ids: set[str] = set()
        self.useFixture(fixtures.MonkeyPatch(
            'nova.tests.fixtures.GlanceFixture', glance.StreamingGlance))
        self.flags(compute_driver=DRIVER)
        # A shell ignores the stop signal, so each is waited for this long.
        self.flags(shutdown_timeout=1)
        self.flags(api_paste_config=os.path.join(
            sys.prefix, 'etc/nova/api-paste.ini'), group='wsgi')
        self.backend = self.backend_class()
        self.backend.start_engine(self)
        self.flags(host_url=self.backend.engine_url, group='docker')
        super().setUp()
        self.flags(instances_path=self.useFixture(fixtures.TempDir()).path)
        self.before = self.backend.state()

    def _delete_all_and_compare(self, *servers):
        """The host is as it was before the first server."""
        for server in servers:
            self._delete_server(server)
        self.prune_images()
        self.assertEqual(self.before, self.backend.state())

    def _setup_services(self):
        # Ports have the same ids in every test, but devices named after
        # them share one kernel.
        self.neutron.default_port = dict(
            self.neutron.default_port, id=str(uuid.uuid4()))
        self.backend.start_network(self)
        super()._setup_services()

    def _setup_compute_service(self):
        self.engine_client = self.backend.client
        return self._start_compute(self.host_name)

    @property
    def driver(self):
        return self.compute.manager.driver

    def add_image(self, *tags: str, properties=None, **settings) -> str:
        """Upload a docker image and return its id."""
        return self.add_archive(self.backend.image(*tags, **settings),
                                **(properties or {}))

    def add_archive(self, data: bytes, **properties) -> str:
        """Upload whatever shall pass for an image and return its id."""
        image_id = str(uuid.uuid4())
        self.image_ids.append(image_id)
        return self.glance.add(image_id, data, **properties)

    def boot(self, image_id: str, expected_state='ACTIVE', **changes):
        """A server of this image; ``changes`` are fields of the request."""
        request = self._build_server(
            image_uuid=image_id, flavor_id=self.flavor(),
            networks=[{'uuid': self.neutron.network_1['id']}])
        server = self._wait_for_state_change(
            self.api.post_server({'server': dict(request, **changes)}),
            expected_state)
        self.server_ids.append(server['id'])
        self.port_ids.update(self.neutron._ports)
        return server

    def flavor(self, **extra_specs) -> str:
        """Id of a new flavor small enough for any machine."""
        return self._create_flavor(
            name='tiny-%s' % uuid.uuid4().hex[:8], vcpu=1, memory_mb=64,
            disk=1, ephemeral=0, extra_spec=extra_specs or None)

    def workload(self, server):
        return self.engine_client.get_container(names.workload(server['id']))

    def prune_images(self) -> None:
        """Run the image cache manager as if a day had passed.

        Images of others on a shared engine are made to look used.
        """
        self.flags(remove_unused_original_minimum_age_seconds=0,
                   group='image_cache')
        others = set(map(names.image_id_of_tag, image_tags(
            self.engine_client))) - set(self.image_ids)
        self.driver.manage_image_cache(None, [
            types.SimpleNamespace(uuid='', image_ref=other)
            for other in others])
