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

import testtools

from tests.contract import engine_contract
from tests.contract import suites
from tests.fakes import archives
from tests.fakes import engine_http


class Binding(testtools.TestCase):

    def setUp(self):
        fake = self.useFixture(engine_http.FakeEngine())
        self.client = fake.client
        self.file_system = archives.busybox()
        self.image = 'contract/busybox:1'
        fake.engine.add_image(archives.image(self.image))
        super().setUp()


globals().update(suites.bound(engine_contract, Binding, __name__))
