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

import json

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import imagevolumes
from novadocker.virt.docker import names
from tests import base
from tests.fakes import archives
from tests.fakes import engine_http


class ImageVolumesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_http.FakeEngine())
        self.client = self.fake.client
        self.client.load([archives.image('busybox:1')])
        self.container = self.client.create(model.ContainerSpec(
            name='server', image='busybox:1', labels={},
            network_mode='none'))

    def _ensure(self, *paths):
        imagevolumes.ensure(self.client, self.container, model.Image(
            id='1', labels={names.LABEL_VOLUMES: json.dumps(paths)}))

    def _made(self):
        return self.fake.engine.get(self.container).files()

    def test_image_without(self):
        imagevolumes.ensure(self.client, self.container, model.Image(id='1'))
        self.assertEqual([], [call for call in self.fake.calls
                              if call[1].endswith('/archive')])

    def test_only_what_is_missing(self):
        self._ensure('/data/x', '/bin', '/bin/new', '/data/y/', 'rel',
                     '//data/x/z')
        self.assertEqual(
            {'/': ['data', 'data/x', 'rel'], '/bin': ['new'],
             '/data': ['y'], '/data/x': ['z']}, self._made())

    def test_what_is_there_stays(self):
        self._ensure('/', '/bin', '/bin/busybox', '/bin/../bin')
        self.assertEqual({}, self._made())

    def test_below_a_file(self):
        self.assertRaises(exception.EngineError, self._ensure,
                          '/bin/busybox/x')
