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

"""Image load against "docker load", snapshot against "docker save"."""

import hashlib
import io
import os
import subprocess
import tarfile
import uuid

import fixtures
from oslo_utils import units

from benchmarks import measure
from benchmarks import servers
from novadocker.virt.docker.engine import client as docker_client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.functional import engine

_MEMORY_LIMIT_MIB = 40
_NO_TAG = 'novadocker-bench/large:1'


def load(options):
    """Glance to engine, hashed and verified on the way."""
    for mib in options.mib:
        with LargeImage(mib) as image:
            ours, bare = measure.in_turns(
                options.rounds, image.load, image.docker_load)
            yield measure.at_least('load of %d MiB' % mib, ours, bare, 0.9)
            yield image.memory.line('peak memory', _MEMORY_LIMIT_MIB)


def snapshot(options):
    """Engine to Glance, of a server that wrote a file of that size."""
    for mib in options.mib:
        with LargeImage(mib) as image, _Server(image) as server:
            ours, bare = measure.in_turns(
                options.rounds, server.snapshot, server.docker_save)
            yield measure.at_least('snapshot of %d MiB' % mib, ours, bare,
                                   0.9)
            yield server.memory.line('peak memory', _MEMORY_LIMIT_MIB)


class LargeImage(fixtures.Fixture):
    """An archive on disk, a Glance that has it, and two ways to load it."""

    def __init__(self, mib: int):
        super().__init__()
        self._mib = mib
        self.memory = measure.PeakMemory()
        self.image_id = str(uuid.uuid4())

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.directory, 'image.tar')
        _write_image(self.path, self._mib * units.Mi)
        self.glance = self.useFixture(servers.Glance())
        self.record = self.glance.add(self.image_id, self.path)
        self.client = docker_client.DockerClient(engine.URL)
        self.driver = servers.new_driver(self.glance)
        self.tag = names.image_tag(
            self.image_id, self.record['checksum'])

    def forget(self) -> None:
        """Have the engine remove the image, by whatever name it knows it."""
        for tag in (self.tag, _NO_TAG):
            if self.client.find_image(tag):
                self.client.remove_image(tag)

    def load(self) -> float:
        with self.memory.watched():
            taken = measure.seconds(lambda: self.driver.cache_image(
                servers.CONTEXT, self.image_id))
        self.forget()
        return taken

    def docker_load(self) -> float:
        with open(self.path, 'rb') as archive:
            taken = measure.seconds(lambda: subprocess.run(
                ['docker', 'load', '-q'], stdin=archive, check=True,
                stdout=subprocess.DEVNULL))
        self.forget()
        return taken


class _Server(fixtures.Fixture):
    """A stopped container of the image, and two ways to save it."""

    def __init__(self, image: LargeImage):
        super().__init__()
        self._image = image
        self._client = image.client
        self.memory = measure.PeakMemory()

    def _setUp(self):
        self._image.driver.cache_image(
            servers.CONTEXT, self._image.image_id)
        self.addCleanup(self._client.remove_image, self._image.tag)
        self._instance = servers.new_instance(self._image.image_id)
        self._name = names.workload(self._instance.uuid)
        self._client.create(model.ContainerSpec(
            name=self._name, image=self._image.tag, labels={},
            network_mode='none'))
        self.addCleanup(self._client.remove, self._name)
        self._target = os.path.join(self._image.directory, 'saved')

    def snapshot(self) -> float:
        with self.memory.watched():
            taken = measure.seconds(lambda: self._image.driver.snapshot(
                servers.CONTEXT, self._instance, 'snapshot',
                lambda **_states: None))
        self._image.glance.forget('snapshot')
        return taken

    def docker_save(self) -> float:
        made = []

        def save():
            answer = subprocess.run(['docker', 'commit', self._name],
                                    check=True, capture_output=True)
            made.append(answer.stdout.decode().strip())
            with open(self._target, 'wb') as target:
                subprocess.run(['docker', 'save', made[0]], check=True,
                               stdout=target)
        taken = measure.seconds(save)
        self._client.remove_image(made[0])
        return taken


def _write_image(path: str, size: int) -> None:
    """One layer with one file that does not compress."""
    layer = path + '.layer'
    with open(layer, 'wb') as target:
        with tarfile.open(fileobj=target, mode='w') as tar:
            member = tarfile.TarInfo('data')
            member.size = size
            tar.addfile(member, _Noise(size))
    try:
        _write_archive(path, layer)
    finally:
        os.unlink(layer)


def _write_archive(path: str, layer: str) -> None:
    with open(layer, 'rb') as data:
        diff_id = 'sha256:' + hashlib.file_digest(data, 'sha256').hexdigest()
    config = archives.config_of([diff_id], Cmd=['/data'])
    with tarfile.open(path, 'w') as tar:
        tar.add(layer, 'layer.tar')
        for name, text in (
                ('config.json', config),
                ('manifest.json', archives.manifest(
                    'config.json', ['layer.tar'], [_NO_TAG]))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))


class _Noise(io.RawIOBase):
    """A file of so many bytes, made as it is read."""

    def __init__(self, size: int):
        self._left = size
        self._block = os.urandom(units.Mi + 13)

    def read(self, size: int = -1) -> bytes:
        size = min(size if size >= 0 else self._left, self._left,
                   len(self._block))
        self._left -= size
        return self._block[:size]
