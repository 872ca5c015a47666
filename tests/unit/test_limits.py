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

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import limits
from novadocker.virt.docker import names
from tests import base
from tests.fakes import archives
from tests.fakes import engine_http


class GrantableNofileTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_http.FakeEngine())
        self.client = self.fake.client
        self.client.load([archives.image('pause:1')])

    def _refuse(self, trials):
        """The runtime cannot; each start is tried twice."""
        for _attempt in range(2 * trials):
            self.fake.fail_next('POST', '/containers/*/start', 500,
                                'error setting rlimit type 7')

    def _granted(self):
        return limits.grantable_nofile(self.client, 'pause:1', 'host-1')

    def assertNothingLeft(self):
        self.assertEqual({}, self.fake.engine.snapshot()['containers'])

    def test_first_that_the_engine_grants(self):
        for trials, expected in enumerate(limits.NOFILE_LIMITS):
            self._refuse(trials)
            self.assertEqual(expected, self._granted())
            self.assertNothingLeft()

    def test_probe_asks_for_the_limit_and_can_do_nothing(self):
        seen = []
        create = self.client.create
        self.client.create = lambda spec: seen.append(spec) or create(spec)
        self._granted()
        probe, = seen
        self.assertEqual({'nofile': (1048576, 1048576)}, probe.ulimits)
        self.assertEqual(('none', True, ('ALL',)), (
            probe.network_mode, probe.read_only, probe.cap_drop))

    def test_left_by_a_killed_process(self):
        self.client.create(model.ContainerSpec(
            name=names.probe('host-1'), image='pause:1', network_mode='none',
            labels={names.LABEL_ROLE: names.ROLE_PROBE}))
        self.assertEqual(limits.NOFILE_LIMITS[0], self._granted())
        self.assertNothingLeft()

    def test_foreign_container_of_that_name(self):
        """It stays, and costs no more than the trial."""
        foreign = self.client.create(model.ContainerSpec(
            name=names.probe('host-1'), image='pause:1', labels={},
            network_mode='none'))
        self.assertEqual(limits.NOFILE_LIMITS[-1], self._granted())
        self.assertIsNotNone(self.client.find_container(foreign))

    def test_engine_that_is_lost(self):
        for _attempt in range(2):
            self.fake.drop_next('POST', '/containers/*/start')
        self.assertRaises(exception.EngineUnavailable, self._granted)
        self.assertNothingLeft()
