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


"""What is made of an engine's ways."""

import testtools

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import policy
from tests.fakes import archives
from tests.fakes import engine_http

IMAGE = 'test/busybox:1'


class PolicyCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_http.FakeEngine(timeout_s=0.3))
        self.fake.engine.add_image(archives.image(IMAGE))
        self.client = self.fake.client
        self.container = self.client.create(model.ContainerSpec(
            name='server', image=IMAGE, labels={}, network_mode='none',
            command=('sleep', '600')))

    def asked(self, verb):
        return sum(path.endswith(verb) for _method, path in self.fake.calls)


class StartTest(PolicyCase):

    def start(self):
        policy.start(self.client, self.container)

    def test_failure_of_the_engine_is_tried_again(self):
        self.fake.fail_next('POST', '*/start', 500,
                            'cannot start a stopped process')
        self.start()
        self.assertEqual(
            model.RUNNING, self.client.get_container(self.container).state)

    def test_once_and_no_more(self):
        for _attempt in range(2):
            self.fake.fail_next('POST', '*/start', 500)
        self.assertRaises(exception.EngineError, self.start)
        self.assertEqual(2, self.asked('/start'))

    def test_what_has_a_reason_is_not(self):
        for status in (400, 404, 409):
            del self.fake.calls[:]
            self.fake.fail_next('POST', '*/start', status)
            self.assertRaises(exception.EngineError, self.start)
            self.assertEqual(1, self.asked('/start'))

    def test_lost_engine_is_not(self):
        for lose in (self.fake.drop_next, self.fake.hang_next):
            del self.fake.calls[:]
            lose('POST', '*/start')
            self.assertRaises(exception.EngineUnavailable, self.start)
            self.assertEqual(1, self.asked('/start'))

    def test_verb_tries_once(self):
        self.fake.fail_next('POST', '*/start', 500)
        self.assertRaises(exception.EngineError, self.client.start,
                          self.container)
        self.assertEqual(1, self.asked('/start'))


class LogEndTest(PolicyCase):

    def end(self, size):
        return policy.log_end(self.client, self.container, size)

    def test_lines_long_enough_are_asked_for_once(self):
        self.fake.engine.get(self.container).write(1, b'0123456789\n' * 5000)
        self.assertEqual(b'789\n', self.end(4))
        self.assertEqual(1, self.asked('/logs'))

    def test_short_lines_are_asked_for_twice(self):
        self.fake.engine.get(self.container).write(1, b'1\n' * 5000)
        self.assertEqual(b'1\n' * 2000, self.end(4000))
        self.assertEqual(2, self.asked('/logs'))

    def test_log_that_is_short(self):
        self.fake.engine.get(self.container).write(1, b'1\n' * 999)
        self.assertEqual(b'1\n' * 999, self.end(4000))
        self.assertEqual(1, self.asked('/logs'))
