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

"""Spawn of a cached image with one port against bare engine calls."""

import os
import subprocess
import uuid

import fixtures
from nova import objects

from benchmarks import measure
from benchmarks import servers
from novadocker import conf
from novadocker.virt.docker.engine import client as docker_client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from novadocker.virt.docker import spec
from tests.functional import engine
from tests.functional import ovs

CONF = conf.CONF

# What an operator would type to give a container its one interface.
_BATCH = """\
link set lo up
link set eth0 address fa:16:3e:00:00:09 mtu 1442 up
address add 10.0.0.5/24 dev eth0
route replace default via 10.0.0.1
"""


def spawn(options):
    """Lines; the grace period, a wait by choice, is shown apart."""
    with ovs.PrivateHost() as host, servers.Glance() as glance:
        client = docker_client.DockerClient(engine.URL)
        driver = servers.new_driver(glance)
        driver.init_host('bench-%s' % uuid.uuid4().hex[:8])
        with servers.busybox(client) as image:
            run = _Run(client, driver, glance, image, host.switch.bridge)
            with run.cached_image():
                CONF.set_override('start_grace_period', 0, group='docker')
                ours, bare = measure.in_turns(
                    options.rounds, run.ours, run.bare)
                yield measure.at_most('spawn / bare engine calls', ours,
                                      bare, 1.6)
                CONF.clear_override('start_grace_period', group='docker')
                ours, bare = measure.in_turns(
                    options.rounds, run.ours, run.bare)
                yield measure.Line(
                    'with the grace period of %.1f s        %.2f' % (
                        CONF.docker.start_grace_period, ours / bare))


class _Run:
    def __init__(self, client, driver, glance, image, bridge):
        self._client = client
        self._driver = driver
        self._glance = glance
        self._image = image
        self._bridge = bridge
        self._number = 0
        self._image_id = str(uuid.uuid4())

    def cached_image(self):
        """Load it once, as the first server on the host would."""
        return _CachedImage(self._client, self._driver, self._glance,
                            self._image, self._image_id)

    def ours(self) -> float:
        self._number += 1
        instance = servers.new_instance(self._image_id)
        info = servers.network_info(self._number, self._bridge)
        image_meta = objects.ImageMeta.from_dict(
            self._driver._images._store.get(servers.CONTEXT, self._image_id))
        taken = measure.seconds(lambda: self._driver.spawn(
            servers.CONTEXT, instance, image_meta, [], None, {},
            network_info=info))
        self._driver.destroy(None, instance, info)
        return taken

    def bare(self) -> float:
        """The same container, wired when it runs already."""
        instance = servers.new_instance(self._image_id)
        wanted = spec.workload(
            instance, 'bench', self._client.get_image(self._image), {}, '',
            self._client.info(), {})
        wanted = model.ContainerSpec(**{
            **vars(wanted), 'network_mode': 'none'})
        link = '/var/run/netns/bench-%s' % instance.uuid
        made = []
        try:
            return measure.seconds(
                lambda: made.append(self._bare(wanted, link)))
        finally:
            self._client.remove(wanted.name)
            os.unlink(link)

    def _bare(self, wanted, link) -> None:
        container = self._client.create(wanted)
        self._client.start(container)
        namespace = self._client.get_container(container).netns_path
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(namespace, link)
        name = os.path.basename(link)
        host_end = 'bn' + name[-12:]
        subprocess.run(['ip', 'link', 'add', host_end, 'type', 'veth', 'peer',
                        'name', 'eth0', 'netns', name], check=True)
        subprocess.run(['ip', 'link', 'set', host_end, 'up'], check=True)
        subprocess.run(['ip', '-n', name, '-batch', '-'], check=True,
                       input=_BATCH, text=True)


class _CachedImage(fixtures.Fixture):
    """A Glance image that the engine has already."""

    def __init__(self, client, driver, glance, image, image_id):
        super().__init__()
        self._client = client
        self._driver = driver
        self._glance = glance
        self._image = image
        self._image_id = image_id

    def _setUp(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'image')
        with open(path, 'wb') as target:
            for block in self._client.save(self._image):
                target.write(block)
        record = self._glance.add(self._image_id, path)
        self._driver.cache_image(servers.CONTEXT, self._image_id)
        self.addCleanup(self._client.remove_image, names.image_tag(
            self._image_id, record['checksum']))
