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

"""What stacks rely on in an engine, said with the Heat plugin's client.

The suites run on the fake engine and on a real one; a TestCase binds them to
either. Nothing enters the fake before it has passed here on the real one.
"""

import time
import uuid

from heat_docker import exception

LABEL = 'org.novadocker.heat-contract'
# Longer than any test.
FOREVER = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done']
PATIENCE_S = 30
SECOND = 10 ** 9
MIB = 1024 * 1024


class Contract:
    """What the suites share.

    A binding brings ``engine``, a client that is connected; ``image``, the
    tag of an image with a shell; and ``make_network``, which returns the name
    of a new network. All that a test makes is removed after it.
    """

    def setUp(self):
        super().setUp()
        self.made = []
        self.addCleanup(self._remove_all)

    def _remove_all(self):
        for container in self.made:
            try:
                self.engine.remove(container)
            except exception.NotFound:
                # The test itself did.
                pass

    def name(self, role: str = 'web') -> str:
        return 'contract-%s-%s' % (uuid.uuid4().hex[:12], role)

    def create(self, *command: str, name: str | None = None,
               stdin_once: bool = False, networks=None, config=None,
               **host_config) -> str:
        container = self.engine.create(
            name or self.name(),
            {'image': self.image, 'command': list(command) or FOREVER,
             'detach': True, 'labels': {LABEL: self.id()}, **(config or {})},
            host_config, stdin_once, networks or {})
        self.made.append(container)
        return container

    def run_container(self, *command: str, **arguments) -> str:
        container = self.create(*command, **arguments)
        self.engine.start(container)
        return container

    def state(self, container: str) -> dict:
        return self.engine.inspect(container)['State']

    def network(self, container: str) -> dict:
        return self.engine.inspect(container)['NetworkSettings']

    def await_state(self, container: str, wanted) -> dict:
        """Wait until the state is as wanted, and return it."""
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(state := self.state(container)):
            self.assertLess(time.monotonic(), deadline, state)
            time.sleep(0.02)
        return state

    def await_end(self, container: str) -> dict:
        return self.await_state(
            container, lambda state: state['Status'] == 'exited')


class LimitsContract(Contract):

    def limits(self, container):
        host_config = self.engine.inspect(container)['HostConfig']
        return {field: host_config[field] for field in (
            'Memory', 'MemorySwap', 'CpuShares', 'CpusetCpus')}

    def test_limits_change_while_the_container_runs(self):
        container = self.run_container(
            mem_limit=32 * MIB, memswap_limit=64 * MIB)
        before = self.state(container)
        self.engine.update(container, {
            'mem_limit': 128 * MIB, 'memswap_limit': 256 * MIB,
            'cpu_shares': 512, 'cpuset_cpus': '0'})
        self.assertEqual(
            {'Memory': 128 * MIB, 'MemorySwap': 256 * MIB,
             'CpuShares': 512, 'CpusetCpus': '0'}, self.limits(container))
        self.assertEqual(before['StartedAt'],
                         self.state(container)['StartedAt'])

    def test_nothing_and_zero_leave_a_limit_as_it_was(self):
        container = self.run_container(
            mem_limit=32 * MIB, memswap_limit=64 * MIB, cpu_shares=512,
            cpuset_cpus='0')
        before = self.limits(container)
        self.engine.update(container, {
            'mem_limit': None, 'memswap_limit': None, 'cpu_shares': None,
            'cpuset_cpus': None})
        self.assertEqual(before, self.limits(container))
        self.engine.update(container, {
            'mem_limit': 0, 'cpu_shares': 0, 'cpuset_cpus': ''})
        self.assertEqual(before, self.limits(container))

    def test_impossible_limits_are_refused(self):
        container = self.run_container()
        for limits in ({'mem_limit': 1024}, {'cpuset_cpus': '4096'}):
            self.assertRaises(exception.EngineError, self.engine.update,
                              container, limits)

    def test_restart_policy_changes(self):
        container = self.run_container()
        policy = {'Name': 'on-failure', 'MaximumRetryCount': 3}
        self.engine.update(container, {'restart_policy': policy})
        host_config = self.engine.inspect(container)['HostConfig']
        self.assertEqual(policy, host_config['RestartPolicy'])

    def test_update_of_a_missing_container(self):
        self.assertRaises(exception.NotFound, self.engine.update,
                          self.name(), {'cpu_shares': 2})


class NetworkContract(Contract):

    def test_default_network_is_the_bridge(self):
        networks = self.network(self.run_container())['Networks']
        self.assertEqual(['bridge'], list(networks))
        self.assertNotEqual('', networks['bridge']['IPAddress'])
        self.assertNotEqual('', networks['bridge']['Gateway'])

    def test_network_by_name_with_alias(self):
        network = self.make_network()
        container = self.run_container(
            network_mode=network, networks={network: {'aliases': ['db']}})
        networks = self.network(container)['Networks']
        self.assertEqual([network], list(networks))
        self.assertIn('db', networks[network]['Aliases'])
        self.assertNotEqual('', networks[network]['IPAddress'])

    def test_two_networks(self):
        first, second = self.make_network(), self.make_network()
        container = self.create(network_mode=first, networks={first: {}})
        self.engine.connect(container, second, {'aliases': ['db']})
        self.engine.start(container)
        self.assertEqual({first, second},
                         set(self.network(container)['Networks']))

    def test_two_networks_at_once_are_refused(self):
        first, second = self.make_network(), self.make_network()
        self.assertRaises(
            exception.EngineError, self.create, network_mode=first,
            networks={first: {}, second: {}})

    def test_running_container_joins_once_and_what_is_there(self):
        network = self.make_network()
        container = self.run_container()
        self.engine.connect(container, network, {})
        self.assertRaises(exception.EngineError, self.engine.connect,
                          container, network, {})
        self.assertRaises(exception.NotFound, self.engine.connect,
                          container, self.name('net'), {})

    def test_missing_network_is_found_at_the_start(self):
        network = self.name('net')
        container = self.create(network_mode=network, networks={network: {}})
        self.assertRaises(exception.NotFound, self.engine.start, container)
        container = self.create()
        self.engine.connect(container, network, {})
        self.assertRaises(exception.NotFound, self.engine.start, container)

    def test_engine_chooses_a_port(self):
        container = self.run_container(
            config={'ports': [(80, 'tcp'), (53, 'udp'), (99, 'tcp')]},
            port_bindings={'80/tcp': [{'HostIp': '', 'HostPort': ''}],
                           '53/udp': [{'HostIp': '', 'HostPort': ''}]})
        ports = self.network(container)['Ports']
        self.assertEqual({'80/tcp', '53/udp', '99/tcp'}, set(ports))
        self.assertGreater(int(ports['80/tcp'][0]['HostPort']), 0)
        self.assertIsNone(ports['99/tcp'])

    def test_port_that_is_taken(self):
        owner = self.run_container(
            config={'ports': [(80, 'tcp')]},
            port_bindings={'80/tcp': [{'HostIp': '', 'HostPort': ''}]})
        port = self.network(owner)['Ports']['80/tcp'][0]['HostPort']
        other = self.create(
            config={'ports': [(80, 'tcp')]},
            port_bindings={'80/tcp': [{'HostIp': '', 'HostPort': port}]})
        self.assertRaises(exception.EngineError, self.engine.start, other)
        self.assertEqual('created', self.state(other)['Status'])
        self.engine.stop(owner)
        self.engine.start(other)

    def test_stopped_container_has_neither_address_nor_ports(self):
        container = self.run_container(
            config={'ports': [(80, 'tcp')]},
            port_bindings={'80/tcp': [{'HostIp': '', 'HostPort': ''}]})
        self.engine.stop(container)
        settings = self.network(container)
        self.assertEqual({}, settings['Ports'])
        self.assertEqual('', settings['Networks']['bridge']['IPAddress'])


class LifeContract(Contract):

    def healthcheck(self, command, retries=1, interval=SECOND // 5):
        return {'healthcheck': {
            'Test': ['CMD-SHELL', command], 'Interval': interval,
            'Timeout': 5 * SECOND, 'Retries': retries, 'StartPeriod': 0}}

    def test_without_health_check_there_is_no_health(self):
        self.assertNotIn('Health', self.state(self.run_container()))

    def test_healthy(self):
        container = self.run_container(config=self.healthcheck('true'))
        state = self.await_state(
            container, lambda state: state['Health']['Status'] != 'starting')
        self.assertEqual('healthy', state['Health']['Status'])

    def test_health_is_not_known_before_the_first_check(self):
        container = self.run_container(
            config=self.healthcheck('true', interval=3600 * SECOND))
        health = self.state(container)['Health']
        self.assertEqual(('starting', []), (health['Status'], health['Log']))

    def test_unhealthy(self):
        container = self.run_container(
            config=self.healthcheck('echo no database; exit 1', retries=2))
        health = self.await_state(
            container, lambda state: state['Health']['Status'] == 'unhealthy'
        )['Health']
        self.assertGreaterEqual(health['FailingStreak'], 2)
        self.assertEqual('no database\n', health['Log'][-1]['Output'])

    def test_settings_are_kept(self):
        container = self.create(stdin_once=True, config={
            'stdin_open': True, **self.healthcheck('true')})
        config = self.engine.inspect(container)['Config']
        self.assertTrue(config['StdinOnce'])
        self.assertEqual(['CMD-SHELL', 'true'],
                         config['Healthcheck']['Test'])

    def test_engine_restarts(self):
        container = self.run_container('sh', '-c', 'exit 3', restart_policy={
            'Name': 'always', 'MaximumRetryCount': 0})
        state = self.await_state(container, lambda state: state['Restarting'])
        self.assertTrue(state['Running'])
        self.assertEqual(3, state['ExitCode'])
        self.await_restarts(container, 2)
        self.engine.stop(container)
        state = self.await_end(container)
        self.assertFalse(state['Running'])
        self.assertFalse(state['Restarting'])

    def await_restarts(self, container, number):
        deadline = time.monotonic() + PATIENCE_S
        while self.engine.inspect(container)['RestartCount'] < number:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_restarts_have_an_end(self):
        container = self.run_container('sh', '-c', 'exit 3', restart_policy={
            'Name': 'on-failure', 'MaximumRetryCount': 1})
        self.assertEqual(3, self.await_end(container)['ExitCode'])
        self.assertEqual(1, self.engine.inspect(container)['RestartCount'])

    def test_success_is_no_failure(self):
        container = self.run_container('true', restart_policy={
            'Name': 'on-failure', 'MaximumRetryCount': 0})
        self.assertEqual(0, self.await_end(container)['ExitCode'])

    def test_command_that_is_missing(self):
        container = self.create('/missing')
        self.assertRaises(exception.EngineError, self.engine.start, container)
        self.assertEqual('created', self.state(container)['Status'])

    def test_removal_in_any_state(self):
        for made in (self.create(), self.run_container(),
                     self.run_container('true')):
            self.engine.remove(made)
            self.assertRaises(exception.NotFound, self.engine.remove, made)

    def test_name_is_taken(self):
        name = self.name()
        self.create(name=name)
        self.assertRaises(exception.Conflict, self.create, name=name)
        other = self.create()
        self.assertRaises(exception.Conflict, self.engine.rename, other, name)

    def test_log(self):
        container = self.run_container(
            'sh', '-c', 'echo first; echo second; echo third')
        self.await_end(container)
        self.assertEqual('first', self.engine.first_line(container))
        self.assertEqual('second\nthird\n',
                         self.engine.log(container, 2, 1000))
        self.assertEqual('rd\n', self.engine.log(container, 2, 3))

    def test_empty_log(self):
        container = self.run_container()
        self.assertEqual('', self.engine.first_line(container))
        self.assertEqual('', self.engine.log(container, 2, 1000))


class PullContract(Contract):
    """A binding brings ``publish`` too: a new image of a registry."""

    def test_pull(self):
        image = self.publish()
        self.assertFalse(self.engine.has_image(image))
        self.assertEqual({None}, set(self.engine.pull(image)))
        self.assertTrue(self.engine.has_image(image))

    def test_registry_that_is_not_there(self):
        self.assertRaises(exception.EngineError, list,
                          self.engine.pull('127.0.0.1:1/missing:1'))
