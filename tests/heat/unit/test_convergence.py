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

"""Containers under convergence, the way engines work by default."""

import threading

from heat.engine import service as heat_service
from heat.engine import stack as heat_stack
import testtools

from tests.fakes import archives
from tests.fakes import engine_heat
from tests.heat import service
from tests.heat.unit import containers

_PROPERTIES = {'name': 'web', 'port_bindings': {'80': 8080}}


class ConvergenceTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        fake = self.useFixture(engine_heat.FakeEngine())
        self.engine = fake.engine
        self.engine.add_image(archives.image(containers.IMAGE))
        self.heat = self.useFixture(
            service.Service(fake.url, convergence=True))
        self.stack = self.heat.create(
            'convergent', containers.template(web=_PROPERTIES))
        self.assertState('CREATE_COMPLETE')
        self.first = self.container()

    def assertState(self, wanted):
        self.assertEqual(wanted, service.state(self.stack),
                         self.stack['stack_status_reason'])

    def container(self):
        return self.heat.resource(self.stack, 'web')

    def update(self, rollback=False, **properties):
        self.stack = self.heat.update(self.stack, containers.template(
            web={**_PROPERTIES, **properties}), rollback)

    def assertOneRuns(self):
        container, = self.engine.containers.values()
        self.assertEqual(('web', 'running'), (container.name,
                                              container.state))
        self.assertEqual(container.id, self.container())

    def test_update_in_place(self):
        self.update(memory=64 << 20)
        self.assertState('UPDATE_COMPLETE')
        self.assertEqual(self.first, self.container())
        self.assertOneRuns()

    def test_replacement(self):
        self.update(env=['A=1'])
        self.assertState('UPDATE_COMPLETE')
        self.assertNotEqual(self.first, self.container())
        self.assertOneRuns()

    def test_rollback(self):
        self.update(rollback=True, cmd=['false'])
        self.assertState('ROLLBACK_COMPLETE')
        self.assertEqual(self.first, self.container())
        self.assertOneRuns()

    def test_vanished_is_found_and_healed(self):
        self.engine.remove(self.first, True)
        self.stack = self.heat.act('check', self.stack)
        self.assertState('CHECK_FAILED')
        self.update()
        self.assertState('UPDATE_COMPLETE')
        self.assertOneRuns()

    def test_update_waits_for_a_worker_that_is_slow_to_tidy_up(self):
        """Heat drops an update that is under way when the worker does."""
        asked, tidied = threading.Event(), threading.Event()
        tidy = heat_stack.Stack.purge_db
        prepare = heat_service.EngineService._prepare_stack_updates

        def tidy_late(stack):
            asked.wait(0.5)
            tidy(stack)
            tidied.set()

        def prepare_late(engine, *arguments):
            asked.set()
            tidied.wait(30)
            return prepare(engine, *arguments)
        self.patch(heat_stack.Stack, 'purge_db', tidy_late)
        self.patch(heat_service.EngineService, '_prepare_stack_updates',
                   prepare_late)
        self.test_vanished_is_found_and_healed()

    def test_suspend_and_resume(self):
        for action in ('suspend', 'resume'):
            self.stack = self.heat.act(action, self.stack)
            self.assertState(action.upper() + '_COMPLETE')
        self.assertOneRuns()
