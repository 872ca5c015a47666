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

"""Paths that an image declares as VOLUME, on the real engine."""

import json
import uuid

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import imagevolumes
from novadocker.virt.docker import names
from tests import base
from tests.fakes import archives
from tests.functional import engine

# Owner, mode and name of each, then what is mounted there.
_LOOK = ('busybox stat -c "%u %a %n" /srv /srv/new /data /data/x /etc/made; '
         'busybox touch /srv/new/a /data/x/a && '
         'busybox grep -c -e /data -e /srv /proc/self/mounts')


class ImageVolumesEngineTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(engine.RealEngine())
        self.client = self.engine.client

    def _create(self, image, *command):
        container = self.client.create(model.ContainerSpec(
            name='%s-%s' % (engine.NAMESPACE, uuid.uuid4().hex), image=image,
            labels={}, network_mode='none', command=command or ('sh',)))
        self.addCleanup(self.client.remove, container)
        return container

    def _ensure(self, container, *paths):
        imagevolumes.ensure(self.client, container, model.Image(
            id='1', labels={names.LABEL_VOLUMES: json.dumps(paths)}))

    def _prepared(self):
        """A container whose /srv is another's, with links to follow."""
        container = self._create(self.engine.image, 'sh', '-c', _LOOK)
        self.client.put_archive(container, '/', archives.directories(
            'srv', 'etc', uid=33))
        self.client.put_archive(container, '/', archives.tar({}, {
            'link': '/srv', 'out': '../../../../../../etc'}))
        return container

    def test_part_of_the_root_file_system(self):
        container = self._prepared()
        self._ensure(container, '/data/x', '/srv', '/link/new', '/out/made')
        expected = ('33 755 /srv\n0 755 /srv/new\n0 755 /data\n'
                    '0 755 /data/x\n0 755 /etc/made\n0\n')
        self.assertEqual(expected, self._output(container))
        self.assertEqual([], self.engine.inspect(
            container)['Mounts'])
        image = self.client.commit(container, {})
        self.addCleanup(self.client.remove_image, image)
        again = self._create(image, 'sh', '-c', 'busybox ls /data/x /srv/new')
        self.assertEqual('/data/x:\na\n\n/srv/new:\na\n',
                         self._output(again))

    def _output(self, container):
        self.client.start(container)
        self.client.wait(container, 30)
        return self.client.logs(container, 10000).decode()

    def test_below_a_file_and_in_circles(self):
        container = self._create(self.engine.image)
        self.client.put_archive(container, '/', archives.tar(
            {}, {'loop': 'loop'}))
        for path in ('/bin/busybox/x', '/loop/x'):
            self.assertRaises(exception.EngineError, self._ensure, container,
                              path)
