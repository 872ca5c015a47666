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

"""heat-engine's service in this process, as heat-api calls it."""

import os
import time

import fixtures
from heat.common import messaging
from heat.common import template_format
from heat.db import api as db_api
from heat.db import models
from heat.engine import service
from heat.rpc import api as rpc_api

from tests.heat import stacks

EXAMPLES = os.path.join(os.path.dirname(__file__), '..', '..', 'contrib',
                        'heat_docker', 'examples')
_PATIENCE_S = 120


class Service(fixtures.Fixture):
    """Calls return when the stack is in its final state.

    :param convergence: work as engines do by default: each resource is a
        task for whichever engine gets the message
    """

    def __init__(self, *endpoints: str, convergence: bool = False):
        super().__init__()
        self._endpoints = endpoints
        self._convergence = convergence

    def _setUp(self):
        self.stacks = self.useFixture(stacks.Stacks(*self._endpoints))
        self.options = self.stacks.options
        # Which makes known how long to wait for an answer, as a start does.
        messaging.get_rpc_client()
        self._engine = service.EngineService('test', 'engine')
        self._engine.thread_group_mgr = service.ThreadGroupManager()
        if self._convergence:
            self.options.config(convergence_engine=True)
            self._engine.start()
            self.addCleanup(self._engine.stop)

    @property
    def context(self):
        return self.stacks.context

    def create(self, name: str, template: str, **parameters) -> dict:
        identity = self._engine.create_stack(
            self.context, name, template_format.parse(template),
            {'parameters': parameters}, {}, {})
        return self._settled(identity)

    def update(self, stack: dict, template: str, rollback: bool = False,
               **parameters) -> dict:
        self._engine.update_stack(
            self.context, stack['stack_identity'],
            template_format.parse(template), {'parameters': parameters}, {},
            {rpc_api.PARAM_DISABLE_ROLLBACK: not rollback})
        return self._settled(stack['stack_identity'])

    def act(self, action: str, stack: dict) -> dict:
        """Suspend, resume or check."""
        getattr(self._engine, 'stack_' + action)(
            self.context, stack['stack_identity'])
        return self._settled(stack['stack_identity'])

    def delete(self, stack: dict) -> dict:
        self._engine.delete_stack(self.context, stack['stack_identity'])
        return self._settled(stack['stack_identity'])

    def resource(self, stack: dict, name: str) -> str:
        """The id of a resource."""
        return self._engine.describe_stack_resource(
            self.context, stack['stack_identity'],
            name)[rpc_api.RES_PHYSICAL_ID]

    def _settled(self, identity) -> dict:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            stack, = self._engine.show_stack(self.context, identity,
                                             resolve_outputs=False)
            if self._is_final(stack) and not self._traversed(identity):
                return stack
            time.sleep(0.1)
        raise AssertionError('in progress for too long: %s' % stack)

    @staticmethod
    def _is_final(stack: dict) -> bool:
        # With convergence a failure is the last word only if nothing is
        # rolled back.
        rolls_back = (stack[rpc_api.STACK_ACTION] == 'UPDATE' and
                      not stack[rpc_api.STACK_DISABLE_ROLLBACK])
        status = stack[rpc_api.STACK_STATUS]
        return status == 'COMPLETE' or status == 'FAILED' and not rolls_back

    def _traversed(self, identity) -> bool:
        """Whether a worker is not through with the stack.

        With convergence it stores the final state first, and then tidies up:
        at the end, the points where its tasks meet. An update that is asked
        for in between is dropped, without an error.
        """
        with db_api.context_manager.reader.using(self.context):
            return self.context.session.query(models.SyncPoint).filter_by(
                stack_id=identity['stack_id']).count() > 0

    def outputs(self, stack: dict) -> dict:
        shown, = self._engine.show_stack(
            self.context, stack['stack_identity'], resolve_outputs=True)
        return {each[rpc_api.OUTPUT_KEY]: each[rpc_api.OUTPUT_VALUE]
                for each in shown[rpc_api.STACK_OUTPUTS]}


def state(stack: dict) -> str:
    return '%s_%s' % (stack[rpc_api.STACK_ACTION],
                      stack[rpc_api.STACK_STATUS])


def example(name: str) -> str:
    with open(os.path.join(EXAMPLES, name)) as text:
        return text.read()
