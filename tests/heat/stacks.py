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

"""Heat in this process, on SQLite."""

import os
import time
import uuid

import fixtures
from heat.common import context
from heat.common import messaging
from heat.common import template_format
from heat.db import api as db_api
from heat.db import models
from heat.engine import environment
from heat.engine import resources
from heat.engine import scheduler
from heat.engine import stack as heat_stack
from heat.engine import template
from oslo_db import options as db_options
from oslo_db.sqlalchemy import engines

import heat_docker
from tests.heat import options

PLUGINS = os.path.join(os.path.dirname(heat_docker.__file__), 'plugins')
# Heat looks once a second; nobody wants to wait for that here.
_POLL_S = 0.02


class Stacks(fixtures.Fixture):
    """Makes, changes and reads stacks, as one project.

    :param endpoints: what the operator allows
    """

    def __init__(self, *endpoints: str):
        super().__init__()
        self._endpoints = endpoints

    def _setUp(self):
        self.options = self.useFixture(options.Options())
        self.options.set(endpoints=list(self._endpoints),
                         start_grace_period=0.05)
        self._configure(self.options)
        self._make_database()
        self.useFixture(fixtures.MonkeyPatch(
            'heat.engine.scheduler.TaskRunner._sleep',
            lambda _runner, wait_s: time.sleep(min(wait_s or 0, _POLL_S))))
        messaging.setup('fake://', optional=True)
        self.addCleanup(messaging.cleanup)
        self.context = make_context()
        resources.initialise()

    def _configure(self, config):
        config.config(plugin_dirs=[PLUGINS], convergence_engine=False,
                      deferred_auth_method='password', action_retry_limit=5,
                      auth_encryption_key='0123456789abcdef' * 2)

    def _make_database(self):
        # To have a factory at all that can be patched.
        db_options.set_defaults(self.options.conf, connection='sqlite://')
        # A file, as the threads of an engine cannot share one in memory.
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'heat')
        engine = engines.create_engine('sqlite:///' + path,
                                       sqlite_synchronous=False)
        self.addCleanup(engine.dispose)
        self.addCleanup(db_api.context_manager.patch_engine(engine))
        models.BASE.metadata.create_all(engine)

    def parse(self, text: str, parameters=None, name: str | None = None,
              **arguments) -> heat_stack.Stack:
        parsed = template.Template(
            template_format.parse(text),
            env=environment.Environment({'parameters': parameters or {}}))
        return heat_stack.Stack(
            self.context, name or 'stack-' + uuid.uuid4().hex[:8], parsed,
            **arguments)

    def create(self, text: str, parameters=None,
               **arguments) -> heat_stack.Stack:
        stack = self.parse(text, parameters, **arguments)
        stack.store()
        stack.validate()
        stack.create()
        return stack

    def update(self, stack: heat_stack.Stack, text: str,
               parameters=None, **arguments) -> heat_stack.Stack:
        """Returns the stack as another worker would load it."""
        wanted = self.parse(text, parameters, name=stack.name, **arguments)
        wanted.validate()
        stack.update(wanted)
        return self.load(stack)

    def load(self, stack: heat_stack.Stack) -> heat_stack.Stack:
        return heat_stack.Stack.load(self.context, stack_id=stack.id)


def make_context(project_id: str | None = None) -> context.RequestContext:
    return context.RequestContext(
        project_id=project_id or uuid.uuid4().hex, user_id=uuid.uuid4().hex,
        username='tester', password='secret', auth_token='token',
        auth_url='http://identity.example.org:5000/v3', roles=['member'],
        is_admin=False)


def run(task, *arguments):
    scheduler.TaskRunner(task, *arguments)()
