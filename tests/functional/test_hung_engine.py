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


"""A real engine that is stopped: each caller waits one timeout, no more."""

import itertools
import os

import psutil

from novadocker.virt.docker import driver
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from tests import base
from tests.functional import own_engine
from tests.functional import waiting
from tests import together

TIMEOUT_S = 3
CALLERS = 20


class HungEngineTest(together.SilenceAssertions, base.TestCase):

    # Less than half of what twenty callers would take in turn.
    most_s = 25

    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(own_engine.OwnEngine(
            timeout_s=TIMEOUT_S, stream_timeout_s=TIMEOUT_S))
        self.client = self.engine.client
        self.container = self.client.create(self.spec('server'))
        self.client.start(self.container)

    def spec(self, name):
        return model.ContainerSpec(
            name=name, image=self.engine.image, labels={},
            network_mode='none', command=('sh', '-c', 'echo up; sleep 600'))

    def verbs(self):
        """Reading, changing and streaming ones, as many as callers."""
        verbs = (
            self.client.info,
            lambda: self.client.create(self.spec('other')),
            lambda: self.client.start(self.container),
            lambda: self.client.wait(self.container, 0.1),
            lambda: self.client.get_container(self.container),
            lambda: self.client.logs(self.container, 10),
            lambda: self.client.list_containers({}),
            lambda: self.client.put_archive(self.container, '/', b''),
            lambda: self.client.load([bytes(64 << 10)] * 64),
            lambda: next(self.client.save(self.engine.image)),
            # Done when the engine goes on, so without a pause.
            lambda: self.client.commit(self.container, {}, pause=False),
        )
        return list(itertools.islice(itertools.cycle(verbs), CALLERS))

    def assertAllWorks(self):
        self.assertEqual(model.RUNNING, self.client.get_container(
            self.container).state)
        self.assertIn(b'up\n', self.client.logs(self.container, 100))
        self.assertTrue(b''.join(self.client.save(self.engine.image)))
        self.assertIsNone(self.client.wait(self.container, 0.1))
        self.client.stop(self.container, 0)
        self.client.start(self.container)

    def test_verbs(self):
        sockets = self.sockets()
        threads = psutil.Process().num_threads()
        # Once with connections that are open, once with none.
        for close in (lambda: None, self.client.close):
            close()
            self.engine.freeze()
            self.assertAllAtOnce(self.verbs())
            self.engine.thaw()
            self.assertAllWorks()
        self.client.close()
        waiting.until(lambda: self.sockets() <= sockets, 'sockets closed')
        waiting.until(lambda: psutil.Process().num_threads() <= threads,
                      'threads ended')

    def test_driver(self):
        self.flags(host_url=self.engine.url, api_timeout=TIMEOUT_S,
                   stream_timeout=TIMEOUT_S, group='docker')
        running, starting, stopping = (
            driver.DockerDriver(None) for _number in range(3))
        running.list_instance_uuids()
        self.engine.freeze()
        self.assertAllAtOnce([running.list_instance_uuids] * CALLERS)
        self.assertServiceStartsAndStops(
            lambda: starting.init_host('host'),
            lambda: stopping.cleanup_host('host'))
        self.engine.thaw()
        for each in (running, starting, stopping):
            self.assertEqual([], each.list_instance_uuids())
            each.cleanup_host('host')

    def test_engine_that_was_replaced_meanwhile(self):
        self.engine.freeze()
        self.assertOutage(self.assertRaises(
            exception.EngineUnavailable, self.client.info))
        self.engine.stop()
        error = self.assertRaises(exception.EngineUnavailable,
                                  self.client.info)
        self.assertIn('nothing listens', str(error))
        self.engine.start()
        self.assertEqual(model.EXITED, self.client.get_container(
            self.container).state)

    @staticmethod
    def sockets():
        """How many this process has open."""
        count = 0
        for number in os.listdir('/proc/self/fd'):
            try:
                count += os.readlink('/proc/self/fd/' + number).startswith(
                    'socket:')
            except FileNotFoundError:
                # That of listdir itself.
                pass
        return count
