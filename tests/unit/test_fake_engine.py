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


"""What the fake engine offers tests beyond being an engine."""

import os
import socket

import docker
import testtools

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from tests.fakes import archives
from tests.fakes import engine_http

IMAGE = 'test/busybox:1'


class FakeEngineTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_http.FakeEngine())
        self.fake.engine.add_image(archives.image(IMAGE))
        self.client = self.fake.client

    def create(self, name='server', *command):
        return self.client.create(model.ContainerSpec(
            name=name, image=IMAGE, labels={}, network_mode='none',
            command=command or ('sleep', '600')))

    def test_unknown_request_fails_the_test(self):
        fake = engine_http.FakeEngine()
        fake.setUp()
        raw = docker.APIClient(fake.url, version='1.41')
        self.addCleanup(raw.close)
        for ask in (raw.volumes, lambda: raw.containers(filters={'x': 'y'})):
            error = self.assertRaises(docker.errors.APIError, ask)
            self.assertEqual(501, error.status_code)
        error = self.assertRaises(AssertionError, fake.cleanUp)
        self.assertIn('volumes', str(error))
        self.assertIn('filters', str(error))

    def test_unknown_script_fails_the_test(self):
        fake = engine_http.FakeEngine()
        fake.setUp()
        fake.engine.add_image(archives.image(IMAGE, Cmd=['sh', '-c', 'ip a']))
        container = fake.client.create(model.ContainerSpec(
            name='server', image=IMAGE, labels={}, network_mode='none'))
        self.assertRaises(exception.EngineError, fake.client.start,
                          container)
        self.assertRaises(AssertionError, fake.cleanUp)

    def test_listens_no_more_after_the_test(self):
        fake = engine_http.FakeEngine(tcp=True)
        fake.setUp()
        fake.cleanUp()
        port = int(fake.url.rpartition(':')[2])
        with socket.socket() as probe:
            self.assertNotEqual(0, probe.connect_ex(('127.0.0.1', port)))

    def test_nth_fault(self):
        self.fake.fail_next('GET', '/containers/*/json', 418, nth=3)
        container = self.create()
        self.client.get_container(container)
        self.client.get_container(container)
        self.assertRaises(exception.EngineError, self.client.get_container,
                          container)
        self.client.get_container(container)

    def test_fault_after_the_deed(self):
        self.fake.drop_next('POST', '/containers/create', after=True)
        self.assertRaises(exception.EngineUnavailable, self.create)
        self.assertIsNotNone(self.client.find_container('server'))

    def test_fault_before_the_deed(self):
        self.fake.fail_next('POST', '/containers/create')
        self.assertRaises(exception.EngineError, self.create)
        self.assertIsNone(self.client.find_container('server'))

    def test_program_by_command(self):
        self.fake.engine.program('sleep 600', exit_code=3,
                                 output=b'boom\n')
        container = self.create()
        self.client.start(container)
        self.assertEqual(3, self.client.wait(container, 5))
        self.assertEqual(b'boom\n', self.client.logs(container, 100))

    def test_program_by_image(self):
        self.fake.engine.program(IMAGE, exit_code=4, after_s=0.2)
        container = self.create()
        self.client.start(container)
        self.assertEqual(model.RUNNING,
                         self.client.get_container(container).state)
        self.assertEqual(4, self.client.wait(container, 5))

    def test_exit(self):
        container = self.create()
        self.client.start(container)
        self.fake.engine.exit('server', 9, b'oops\n')
        self.assertEqual(9, self.client.wait(container, 5))
        self.assertEqual(b'oops\n', self.client.logs(container, 100))

    def test_frozen_process_does_not_exit(self):
        self.fake.engine.program(IMAGE, exit_code=0, after_s=0.1)
        container = self.create()
        self.client.start(container)
        self.client.pause(container)
        self.assertIsNone(self.client.wait(container, 0.3))
        self.client.unpause(container)
        self.assertEqual(0, self.client.wait(container, 5))

    def test_snapshot(self):
        before = self.fake.engine.snapshot()
        container = self.create()
        created = self.fake.engine.snapshot()
        self.client.start(container)
        running = self.fake.engine.snapshot()
        self.client.remove(container)
        self.client.load([archives.image('test/other:1')])
        loaded = self.fake.engine.snapshot()
        self.client.remove_image('test/other:1')
        self.assertEqual(before, self.fake.engine.snapshot())
        for other in (created, running, loaded):
            self.assertNotEqual(before, other)
        self.assertNotEqual(created, running)

    def test_calls(self):
        self.create()
        self.client.stop('server', 7)
        self.assertEqual(
            [('GET', '/version'), ('POST', '/containers/create'),
             ('POST', '/containers/server/stop')], self.fake.calls)
        self.assertEqual(['7'], self.fake.queries[-1]['t'])

    def test_files_of_a_container_can_be_written(self):
        container = self.create()
        self.client.start(container)
        found = self.client.get_container(container)
        for path in (found.resolv_conf_path, found.hosts_path):
            self.assertTrue(os.path.isfile(path))

    def test_archives_are_kept(self):
        container = self.create()
        self.client.put_archive(container, '/bin',
                                archives.tar({'a': b'1', 'b/c': b'2'}))
        self.assertEqual({'/bin': ['a', 'b/c']},
                         self.fake.engine.get(container).files())
