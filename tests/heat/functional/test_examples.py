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

"""The examples, by a real Heat engine and, as far as that goes, a real
Docker Engine.
"""

import contextlib
import random
import socket
import time
import urllib.request

import testtools

from heat_docker import resource
from tests.heat.functional import engine
from tests.heat import service

_PATIENCE_S = 30


class WebAndDatabaseTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.real = self.useFixture(engine.RealEngine())
        self.heat = self.useFixture(service.Service(
            self.real.url, convergence=True))
        self.addCleanup(self._remove_all)
        self.template = service.example('web-and-database.yaml')
        self.parameters = {'image': self.real.image,
                           'web_port': str(_free_port())}

    def _remove_all(self):
        for row in self._containers():
            self.real.api.remove_container(row['Id'], force=True, v=True)

    def _containers(self):
        return self.real.api.containers(all=True, filters={
            'label': '%s=%s' % (resource.PROJECT_LABEL,
                                self.heat.context.project_id)})

    def assertState(self, wanted, stack):
        self.assertEqual(wanted, service.state(stack),
                         stack['stack_status_reason'])

    def page(self, stack):
        """The page, by the container's address and by the host's port."""
        outputs = self.heat.outputs(stack)
        self.assertEqual(self.parameters['web_port'], outputs['port'])
        by_port = 'http://127.0.0.1:%s/cgi-bin/row' % outputs['port']
        first, second = map(_get, (outputs['page'], by_port))
        self.assertEqual(first, second)
        return first

    def create(self):
        stack = self.heat.create('miniature', self.template,
                                 row='Seven pears.', **self.parameters)
        self.assertState('CREATE_COMPLETE', stack)
        return stack

    def update(self, stack, **parameters):
        stack = self.heat.update(
            stack, self.template,
            **{'row': 'Seven pears.', **self.parameters, **parameters})
        self.assertState('UPDATE_COMPLETE', stack)
        return stack

    def web(self, stack):
        return self.real.api.inspect_container(
            self.heat.resource(stack, 'web'))

    def test_life_of_the_stack(self):
        stack = self.create()
        self.assertEqual('Seven pears.\n', self.page(stack))
        self.assertEqual('database: ready',
                         self.heat.outputs(stack)['database_log'])

        stack = self.heat.act('suspend', stack)
        self.assertState('SUSPEND_COMPLETE', stack)
        self.assertEqual({'exited'}, {
            row['State'] for row in self._containers()})
        stack = self.heat.act('resume', stack)
        self.assertState('RESUME_COMPLETE', stack)
        self.assertEqual('Seven pears.\n', self.page(stack))

        stack = self.heat.delete(stack)
        self.assertState('DELETE_COMPLETE', stack)
        self.assertEqual([], self._containers())

    def test_memory_changes_in_place(self):
        stack = self.create()
        before = self.web(stack)
        stack = self.update(stack, web_memory=str(256 << 20))
        after = self.web(stack)
        self.assertEqual(before['Id'], after['Id'])
        self.assertEqual(before['State']['Pid'], after['State']['Pid'])
        self.assertEqual((256 << 20, 512 << 20), (
            after['HostConfig']['Memory'], after['HostConfig']['MemorySwap']))

    def test_replaced_database_takes_the_web_server_along(self):
        stack = self.create()
        before = self.web(stack)['Id']
        stack = self.update(stack, row='Eight pears.')
        self.assertNotEqual(before, self.web(stack)['Id'])
        self.assertEqual('Eight pears.\n', self.page(stack))
        self.assertEqual(2, len(self._containers()))

    def test_vanished_container_is_found_and_healed(self):
        stack = self.create()
        self.real.api.remove_container(self.web(stack)['Id'], force=True)
        stack = self.heat.act('check', stack)
        self.assertState('CHECK_FAILED', stack)
        self.assertIn('No such container', stack['stack_status_reason'])
        stack = self.update(stack)
        self.assertEqual('Seven pears.\n', self.page(stack))
        self.assertState('CHECK_COMPLETE', self.heat.act('check', stack))

    def test_failure_tells_exit_code_and_log(self):
        # Else the container may count as up before it comes to its end.
        self.heat.options.set(start_grace_period=5)
        broken = self.template.replace(
            'echo web: ready', 'echo no license; exit 9')
        stack = self.heat.create('broken', broken, **self.parameters)
        self.assertState('CREATE_FAILED', stack)
        self.assertIn('exit code 9', stack['stack_status_reason'])
        self.assertIn('no license', stack['stack_status_reason'])
        self.assertState('DELETE_COMPLETE', self.heat.delete(stack))
        self.assertEqual([], self._containers())

    def test_image_from_a_registry(self):
        self.parameters['image'] = self.real.publish()
        stack = self.create()
        self.assertEqual('Seven pears.\n', self.page(stack))
        self.heat.delete(stack)


class ServerTest(testtools.TestCase):
    """No cloud is here: what can be known of the template without one."""

    def test_resources_and_what_they_refer_to(self):
        heat = self.useFixture(service.Service())
        stack = heat.stacks.parse(service.example('server.yaml'), {
            'image': 'i', 'flavor': 'f', 'network': 'n',
            'public_network': 'p'})
        self.assertEqual(
            {'OS::Neutron::SecurityGroup', 'OS::Neutron::Port',
             'OS::Nova::Server', 'OS::Neutron::FloatingIP'},
            {each.type() for each in stack.values()})
        for each in stack.values():
            each.t.validate()
            each.properties.validate(with_value=False)
        for name in ('server', 'floating_ip'):
            self.assertIn(stack[name], stack.dependencies.required_by(
                stack['port']))


def _free_port() -> int:
    """One that no outgoing connection takes until it is needed."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('0.0.0.0', port))
            return port
    raise AssertionError('no free port among 100')


def _get(url: str) -> str:
    """Heat's "up" is a second's; servers need a moment to listen."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
