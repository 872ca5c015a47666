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

"""The real engine; whatever a test makes there is removed after it."""

import os
import unittest
import uuid

import docker
import fixtures

from tests.fakes import archives
from tests.heat import registry

URL = os.environ.get('NOVADOCKER_TEST_ENGINE', 'unix:///var/run/docker.sock')
NAMESPACE = 'novadocker-heat-test'
# Linked statically; Debian and Ubuntu have it in busybox-static.
BUSYBOX = '/bin/busybox'


class RealEngine(fixtures.Fixture):
    """``api`` is docker-py's client, ``image`` the tag of an image with a
    shell, ``url`` where the engine listens.
    """

    def _setUp(self):
        if os.environ.get('NOVADOCKER_NO_ENGINE') == '1':
            raise unittest.SkipTest('NOVADOCKER_NO_ENGINE is set')
        self.url = URL
        self.api = docker.APIClient(URL, version='auto')
        self.addCleanup(self.api.close)
        self.image = self.make_image()

    def file_system(self) -> bytes:
        with open(BUSYBOX, 'rb') as binary:
            return archives.busybox(binary.read())

    def make_image(self) -> str:
        unique = uuid.uuid4().hex
        tag = '%s/%s:1' % (NAMESPACE, unique)
        # No two tests at work on one engine shall share an image.
        archive = archives.image(tag, layer=self.file_system(),
                                 Env=['UNIQUE=' + unique])
        for message in self.api.load_image(archive):
            if 'error' in message:
                raise AssertionError(message)
        self.addCleanup(self.api.remove_image, tag)
        return tag

    def make_network(self) -> str:
        name = '%s-%s' % (NAMESPACE, uuid.uuid4().hex[:12])
        self.api.create_network(name, 'bridge')
        self.addCleanup(self.api.remove_network, name)
        return name

    def publish(self) -> str:
        """Offer an image in a registry; returns its name."""
        served = self.useFixture(registry.Registry(
            self.file_system(), Cmd=['sh'], Env=['A=' + uuid.uuid4().hex]))
        self.addCleanup(self._remove_if_pulled, served.reference)
        return served.reference

    def _remove_if_pulled(self, image: str) -> None:
        if self.api.images(image):
            self.api.remove_image(image)
