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

"""Stacks of containers on the fake engine."""

import json

from heat.common import exception as heat_exception
import testtools

from tests.fakes import archives
from tests.fakes import engine_heat
from tests.heat import stacks

IMAGE = 'busybox:1'


def template(**containers) -> str:
    """A template of containers by name, each a map of properties."""
    return json.dumps({
        'heat_template_version': '2021-04-16',
        'resources': {
            name: {'type': 'DockerInc::Docker::Container', 'properties': {
                'image': IMAGE, 'cmd': ['sleep', '600'], **properties}}
            for name, properties in containers.items()}})


class TestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_heat.FakeEngine())
        self.engine = self.fake.engine
        self.engine.add_image(archives.image(IMAGE))
        self.stacks = self.useFixture(stacks.Stacks(self.fake.url))

    def create(self, **properties):
        """A stack with the one container ``web``, and that resource."""
        stack = self.stacks.create(template(web=properties))
        return stack, stack['web']

    def update(self, stack, **properties):
        stack = self.stacks.update(stack, template(web=properties))
        return stack, stack['web']

    def container(self, resource):
        return self.engine.get(resource.resource_id)

    def running(self) -> list[str]:
        return [each.name for each in self.engine.containers.values()
                if each.running]

    def assertState(self, wanted, what):
        self.assertEqual(wanted, '_'.join(what.state), what.status_reason)

    def assertRejected(self, sentence, **properties):
        stack = self.stacks.parse(template(web=properties))
        error = self.assertRaises(heat_exception.StackValidationFailed,
                                  stack.validate)
        self.assertIn(sentence, str(error))
