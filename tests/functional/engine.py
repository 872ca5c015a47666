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


"""The real engine under test, and an image for it.

``NOVADOCKER_TEST_ENGINE`` names another engine than the machine's own. A test
that finds none fails, unless ``NOVADOCKER_NO_ENGINE=1`` says that there is
none to be found. A test that stops or kills its engine has one of its own, in
``own_engine``.
"""

import os
import unittest
import uuid

import docker
import fixtures

from novadocker.virt.docker.engine import client
from tests.fakes import archives

URL = os.environ.get('NOVADOCKER_TEST_ENGINE', 'unix:///var/run/docker.sock')
NAMESPACE = 'novadocker-test'
# Linked statically; Debian and Ubuntu have it in busybox-static.
BUSYBOX = '/bin/busybox'


def skip_without_engine() -> None:
    """Skip if the caller's machine is known to have no engine."""
    if os.environ.get('NOVADOCKER_NO_ENGINE') == '1':
        raise unittest.SkipTest('NOVADOCKER_NO_ENGINE is set')


def busybox() -> bytes:
    """A file system with the machine's busybox."""
    with open(BUSYBOX, 'rb') as binary:
        return archives.busybox(binary.read())


class RealEngine(fixtures.Fixture):
    """``client``, ``url`` and an image with a shell.

    ``image`` is its unique tag, ``file_system`` its layer; it is removed
    afterwards.
    """

    def setUp(self):
        # Here, for a fixture's errors in _setUp are no longer a skip.
        skip_without_engine()
        super().setUp()

    def _setUp(self):
        self.url = URL
        self.client = client.DockerClient(URL)
        self.addCleanup(self.client.close)
        self.file_system = busybox()
        self.image = '%s/%s:1' % (NAMESPACE, uuid.uuid4().hex)
        self.client.import_image(self.file_system, self.image,
                                 changes=['CMD ["sh"]'])
        self.addCleanup(self.client.remove_image, self.image)

    def inspect(self, container: str) -> dict:
        """The engine's own account of a container, by other means."""
        with docker.APIClient(self.url, version='auto') as api:
            return api.inspect_container(container)
