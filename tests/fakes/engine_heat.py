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

"""What stacks ask of an engine beyond what servers do.

Limits that change, networks, published ports, health checks, restarts, and
images from a registry, added to the fake engine. The rule is the same:
nothing is here that ``tests/contract/heat_contract`` has not seen on a real
engine.
"""

from collections.abc import Mapping
import itertools
import json
import re
import time

from tests.fakes import engine
from tests.fakes import engine_http
from tests.fakes import images
from tests.fakes import process

_LIMITS = ('Memory', 'MemorySwap', 'CpuShares', 'CpusetCpus')
_NO_ADDRESS = {'IPAddress': '', 'IPPrefixLen': 0, 'Gateway': '',
               'MacAddress': '', 'EndpointID': ''}
_FIRST_RESTART_S = 0.1


class Engine(engine.Engine):
    """An engine with networks, of which a test may make more.

    ``registry`` maps names, with their tags, to image archives.
    """

    def __init__(self, directory: str):
        super().__init__(directory)
        self.networks = {'bridge': '172.17', 'host': '', 'none': ''}
        self.registry: dict[str, bytes] = {}
        self._addresses = itertools.count(2)
        self._ports = itertools.count(32768)

    def add_network(self, name: str) -> None:
        self.networks[name] = '172.%d' % (16 + len(self.networks))

    # The life of a container

    def create(self, name: str, body: Mapping) -> str:
        endpoints = (body.get('NetworkingConfig') or {}).get(
            'EndpointsConfig') or {}
        if len(endpoints) > 1:
            raise images.Refusal(
                400, 'Container cannot be connected to network endpoints: '
                + ', '.join(endpoints))
        with self._locked():
            identity = super().create(name, body)
            container = self.containers[identity]
            for field in ('ExposedPorts', 'Healthcheck', 'StdinOnce'):
                container.config[field] = body.get(field)
            container.endpoints = {self._network_of(container): {},
                                   **endpoints}
            container.ports = {}
            container.restarts = 0
            container.restart_clock = None
            return identity

    def update(self, reference: str, body: Mapping) -> None:
        """Change limits; zero and nothing mean "as it was"."""
        with self._locked():
            container = self.get(reference)
            self._check_limits(body)
            self._check_cpus(body.get('CpusetCpus') or '')
            wanted = {field: body[field] for field in _LIMITS
                      if body.get(field)}
            if (body.get('RestartPolicy') or {}).get('Name'):
                wanted['RestartPolicy'] = body['RestartPolicy']
            container.host_config.update(wanted)

    def _check_cpus(self, wanted: str) -> None:
        last = self.information['NCPU'] - 1
        if any(int(number) > last for number in re.findall(r'\d+', wanted)):
            raise images.Refusal(
                400, 'Requested CPUs are not available - requested %s, '
                'available: 0-%d' % (wanted, last))

    def connect(self, network: str, reference: str,
                settings: Mapping) -> None:
        with self._locked():
            container = self.get(reference)
            if container.running:
                self._check_network(network)
            if container.running and network in container.endpoints:
                raise images.Refusal(
                    403, 'endpoint with name %s already exists in network %s'
                    % (container.name, network))
            container.endpoints[network] = dict(settings or {})
            if container.running:
                self._give_address(network, container.endpoints[network])

    def _check_network(self, name: str) -> None:
        if name not in self.networks:
            raise images.Refusal(404, 'network %s not found' % name)

    def _join_network(self, container) -> None:
        super()._join_network(container)
        for network in container.endpoints:
            self._check_network(network)
        self._publish(container)
        for network, settings in container.endpoints.items():
            self._give_address(network, settings)

    def _give_address(self, network: str, settings: dict) -> None:
        prefix, number = self.networks[network], next(self._addresses)
        settings['address'] = {
            'IPAddress': '%s.0.%d' % (prefix, number), 'IPPrefixLen': 16,
            'Gateway': prefix + '.0.1',
            'MacAddress': '02:42:ac:00:00:%02x' % number,
            'EndpointID': '%064x' % number,
        } if prefix else dict(_NO_ADDRESS)

    def _publish(self, container) -> None:
        container.ports = {
            port: None for port in container.config['ExposedPorts'] or ()}
        bindings = container.host_config.get('PortBindings') or {}
        for port, wanted in bindings.items():
            container.ports[port] = [
                {'HostIp': each.get('HostIp') or '0.0.0.0',
                 'HostPort': self._host_port(container, each)}
                for each in wanted]

    def _host_port(self, container, wanted: Mapping) -> str:
        port = wanted.get('HostPort') or str(next(self._ports))
        taken = {binding['HostPort'] for other in self.containers.values()
                 if other.running and other is not container
                 for bindings in other.ports.values()
                 for binding in bindings or ()}
        if port in taken:
            container.exit_code = 128
            raise images.Refusal(
                500, 'driver failed programming external connectivity on '
                'endpoint %s: Bind for 0.0.0.0:%s failed: port is already '
                'allocated' % (container.name, port))
        return port

    # Restarts

    def _settle(self) -> None:
        for container in self.containers.values():
            self._restart_if_due(container)
        super()._settle()

    def _proceed(self, container) -> None:
        super()._proceed(container)
        if container.state == 'exited' and _restarts(container):
            container.state = 'restarting'
            container.restart_clock = (
                time.monotonic()
                + _FIRST_RESTART_S * 2 ** container.restarts)

    def _restart_if_due(self, container) -> None:
        if (container.state == 'restarting' and
                time.monotonic() >= container.restart_clock):
            container.restarts += 1
            self._started(container, self._find_program(container))

    def stop(self, reference: str, timeout_s: int) -> bool:
        with self._locked():
            container = self.get(reference)
            if container.state == 'restarting':
                container.state = 'exited'
                return True
            return super().stop(reference, timeout_s)

    # Answers

    def inspect(self, reference: str) -> dict:
        with self._locked():
            answer = super().inspect(reference)
            container = self.get(reference)
            restarting = container.state == 'restarting'
            answer['RestartCount'] = container.restarts
            answer['State'].update(
                Restarting=restarting,
                Running=container.running or restarting)
            if container.config['Healthcheck']:
                answer['State']['Health'] = self._health(container)
            answer['NetworkSettings'].update(self._network(container))
            return answer

    def _network(self, container) -> dict:
        """Without addresses and ports while the container does not run."""
        networks = {
            name: {'Aliases': settings.get('Aliases'), **(
                settings['address'] if container.running else _NO_ADDRESS)}
            for name, settings in container.endpoints.items()}
        return {'Ports': container.ports if container.running else {},
                'Networks': networks,
                **_without_names(networks.get('bridge', _NO_ADDRESS))}

    def _network_of(self, container) -> str:
        mode = container.network_mode
        return 'bridge' if mode == 'default' else mode

    def _health(self, container) -> dict:
        check = container.config['Healthcheck']
        age_s = time.monotonic() - container.start_clock
        probes = int(age_s / (check['Interval'] / 10 ** 9))
        if not container.running or not probes:
            return {'Status': 'starting', 'FailingStreak': 0, 'Log': []}
        program = self._probe(check['Test'])
        failing = probes if program.exit_code else 0
        output = ''.join(data.decode() for _at, _stream, data
                         in program.output)
        status = 'starting' if failing else 'healthy'
        if failing >= check['Retries']:
            status = 'unhealthy'
        return {'Status': status, 'FailingStreak': failing, 'Log': [
            {'ExitCode': program.exit_code, 'Output': output}]}

    def _probe(self, test: list[str]) -> process.Program:
        kind, *words = test
        if kind == 'CMD-SHELL':
            words = ['sh', '-c', *words]
        return self._programs.get(' '.join(words)) or process.interpret(
            words, False)

    # Images

    def pull(self, name: str) -> None:
        """Load an image from the registry."""
        with self._locked():
            archive = self.registry.get(name)
            if archive is None:
                raise images.Refusal(
                    500, 'Get "http://%s/v2/": dial tcp: connect: connection '
                    'refused' % name.partition('/')[0])
            self.add_image(archive)


def _restarts(container) -> bool:
    policy = container.host_config.get('RestartPolicy') or {}
    limit = policy.get('MaximumRetryCount') or 0
    if policy.get('Name') == 'on-failure':
        return bool(container.exit_code) and (
            not limit or container.restarts < limit)
    return policy.get('Name') == 'always'


def _without_names(network: Mapping) -> dict:
    return {field: network[field] for field in _NO_ADDRESS}


def _update(handler, reference):
    handler.server.engine.update(reference, handler._json_body())
    handler.send_json({'Warnings': None})


def _connect(handler, network):
    body = handler._json_body()
    handler.server.engine.connect(network, body['Container'],
                                  body.get('EndpointConfig'))
    handler.send_empty(200)


def _create_image(handler):
    if not handler._parameter('fromImage'):
        handler.import_image()
        return
    name = '%s:%s' % (handler._parameter('fromImage'),
                      handler._parameter('tag'))
    handler.server.engine.pull(name)
    handler.send_chunks('application/json', [
        json.dumps({'status': 'Status: Downloaded newer image for %s'
                    % name}).encode() + b'\r\n'])


class FakeEngine(engine_http.FakeEngine):
    """The engine for whoever speaks to it by ``url``."""

    engine_type = Engine
    routes = (
        ('POST', '/containers/([^/]+)/update', _update),
        ('POST', '/networks/([^/]+)/connect', _connect),
        ('POST', '/images/create', _create_image),
    )

    def connect(self) -> None:
        """There is no client here but docker-py's."""
