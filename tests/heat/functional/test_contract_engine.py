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

"""The contract of an engine, kept by the real one."""

import testtools

from heat_docker import client
from tests.contract import heat_contract
from tests.contract import suites
from tests.heat.functional import engine
from tests.heat import options


class Binding(testtools.TestCase):

    def setUp(self):
        self.real = self.useFixture(engine.RealEngine())
        self.image = self.real.image
        self.make_network = self.real.make_network
        self.publish = self.real.publish
        self.engine = client.Engine(
            self.real.url, self.useFixture(options.Options()).group)
        self.engine.__enter__()
        self.addCleanup(self.engine.__exit__)
        super().setUp()


globals().update(suites.bound(heat_contract, Binding, __name__))
