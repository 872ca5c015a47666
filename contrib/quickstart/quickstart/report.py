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


"""What ``status`` prints: services, then servers beside their containers."""

import json
import urllib.parse

from quickstart import engine
from quickstart import heat
from quickstart import network
from quickstart import processes
from quickstart import services
from quickstart import settings as settings_
from quickstart import shell

_UUID = 'org.openstack.nova.uuid'
_ROLE = 'org.openstack.nova.role'


def run(settings) -> int:
    """Print the status; 1 when something that should run does not."""
    expected = everything(settings)
    down = [service for service in expected
            if not service.process.pid(settings)]
    _print_services(settings, expected)
    containers = _containers(settings)
    servers = [] if down else _servers(settings)
    print()
    _print_servers(servers, containers)
    return 1 if down else 0


def everything(settings) -> list[services.Service]:
    """All services of the cloud; the engine is not one of them."""
    daemons = [services.Service(process, 'ovs')
               for process in network.daemons(settings)]
    return [services.database(settings), services.port_mapper(settings),
            services.broker(settings), *daemons,
            *services.openstack(settings), *heat.all_services(settings)]


def _print_services(settings, expected) -> None:
    print('%-32s %-8s %8s %6s  %s' % (
        'SERVICE', 'STATE', 'PID', 'PORT', 'MEMORY MiB'))
    for service in expected:
        pid = service.process.pid(settings)
        memory = processes.memory_mib(processes.session(pid)) if pid else ''
        port = settings_.PORTS[service.port] if service.port else ''
        print('%-32s %-8s %8s %6s  %s' % (
            service.name, 'running' if pid else 'DOWN', pid or '', port,
            memory))
    print('%-32s %-8s' % (
        'docker engine', 'running' if engine.answers() else 'DOWN'))


def _containers(settings) -> dict[str, dict[str, dict]]:
    """The cloud's containers by server, then by role."""
    if not engine.answers():
        return {}
    filters = urllib.parse.quote(json.dumps(
        {'label': [engine.label(settings)]}))
    found = {}
    for container in engine.get('/containers/json?all=1&filters=' + filters):
        labels = container['Labels']
        roles = found.setdefault(labels.get(_UUID, '?'), {})
        roles[labels.get(_ROLE, '?')] = container
    return found


def _servers(settings) -> list[dict]:
    return json.loads(shell.output(settings, (
        settings.tool('openstack'), 'server', 'list', '--all-projects',
        '--format', 'json'), {
            'OS_CLIENT_CONFIG_FILE': str(settings.clouds),
            'OS_CLOUD': 'quickstart-admin'}))


def _print_servers(servers, containers) -> None:
    print('%-36s  %-16s %-10s %-24s %-24s %s' % (
        'SERVER', 'NAME', 'STATUS', 'CONTAINER', 'SANDBOX', 'NETWORKS'))
    known = {server['ID']: server for server in servers}
    for uuid in [*known, *(set(containers) - set(known))]:
        server = known.get(uuid, {})
        roles = containers.get(uuid, {})
        print('%-36s  %-16s %-10s %-24s %-24s %s' % (
            uuid, server.get('Name', '-'), server.get('Status', '-'),
            _state(roles.get('workload')), _state(roles.get('sandbox')),
            _addresses(server)))


def _state(container) -> str:
    return container['Status'] if container else '-'


def _addresses(server) -> str:
    networks = server.get('Networks') or {}
    return '; '.join('%s=%s' % (name, ','.join(addresses))
                     for name, addresses in networks.items())
