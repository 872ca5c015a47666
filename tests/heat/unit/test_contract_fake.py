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

"""The contract of an engine, kept by the fake one."""

import uuid

import testtools

from heat_docker import client
from tests.contract import heat_contract
from tests.contract import suites
from tests.fakes import archives
from tests.fakes import engine_heat
from tests.heat import options


class Binding(testtools.TestCase):

    image = 'contract/busybox:1'

    def setUp(self):
        fake = self.useFixture(engine_heat.FakeEngine())
        self.fake = fake.engine
        self.fake.add_image(archives.image(self.image))
        self.engine = client.Engine(
            fake.url, self.useFixture(options.Options()).group)
        self.engine.__enter__()
        self.addCleanup(self.engine.__exit__)
        super().setUp()

    def make_network(self):
        name = 'contract-' + uuid.uuid4().hex
        self.fake.add_network(name)
        return name

    def publish(self):
        name = 'registry.example.org/contract:1'
        self.fake.registry[name] = archives.image(name, Env=['A=' + name])
        return name


globals().update(suites.bound(heat_contract, Binding, __name__))
