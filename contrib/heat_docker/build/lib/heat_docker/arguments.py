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

"""Properties as the arguments of docker-py; no engine is asked here.

What can be wrong about a property beyond its type is a ValueError with a
sentence for the author of the template.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import re

from heat.common.i18n import _

from heat_docker import properties as props

_PORT = re.compile(r'(\d{1,5})(?:/(tcp|udp|sctp))?')
_NANOSECONDS = 10 ** 9
# Networks in which the engine knows no names, so gives no aliases either.
_NAMELESS = ('bridge', 'default', 'host', 'none')


def check(properties: Mapping) -> None:
    """:raises: ValueError"""
    _ports(properties)
    _port_bindings(properties)
    for source, target in (properties[props.VOLUMES] or {}).items():
        _bind(source, target)
    for entry in properties[props.VOLUMES_FROM] or ():
        volumes_of(entry)


def config(properties: Mapping, labels: Mapping) -> dict:
    """For ``APIClient.create_container_config``."""
    return {
        'image': properties[props.IMAGE],
        'command': properties[props.CMD] or None,
        'hostname': properties[props.HOSTNAME] or None,
        'user': properties[props.USER] or None,
        'tty': properties[props.TTY],
        'stdin_open': properties[props.OPEN_STDIN],
        # Nobody is attached while a stack is created.
        'detach': True,
        'environment': properties[props.ENV] or None,
        'ports': _ports(properties),
        'labels': {**_strings(properties[props.LABELS]), **labels},
        'healthcheck': _health_check(properties[props.HEALTH_CHECK]),
    }


def host_config(properties: Mapping, links: Mapping,
                volumes_from: Iterable[str]) -> dict:
    """For ``APIClient.create_host_config``.

    :param links: ids of containers and their aliases
    :param volumes_from: ids of containers, each perhaps with ``:ro``
    """
    privileged = properties[props.PRIVILEGED]
    network = _first_network(properties)
    return {
        'privileged': privileged,
        'binds': [_bind(*item) for item
                  in (properties[props.VOLUMES] or {}).items()],
        'volumes_from': list(volumes_from),
        'port_bindings': _port_bindings(properties),
        'links': None if _named(network) else dict(links),
        'network_mode': network,
        'dns': properties[props.DNS] or None,
        'restart_policy': properties[props.RESTART_POLICY] or None,
        'cap_add': properties[props.CAP_ADD] or None,
        'cap_drop': properties[props.CAP_DROP] or None,
        'read_only': properties[props.READ_ONLY],
        'devices': None if privileged else _devices(properties),
        **limits(properties),
    }


def limits(properties: Mapping) -> dict:
    """What the engine changes while a container runs."""
    memory = properties[props.MEMORY] or None
    return {
        'mem_limit': memory,
        # As much swap as memory, as the engine does when nothing is said. It
        # has to be said, or a limit could not grow past the old sum of both.
        'memswap_limit': memory and 2 * memory,
        'cpu_shares': properties[props.CPU_SHARES] or None,
        'cpuset_cpus': properties[props.CPU_SET] or None,
    }


def update(properties: Mapping) -> dict:
    """For ``APIClient.update_container``."""
    return dict(limits(properties),
                restart_policy=properties[props.RESTART_POLICY])


def endpoints(properties: Mapping, links: Mapping) -> list[tuple[str, dict]]:
    """Networks in the order of joining, each with its endpoint's settings.

    For ``APIClient.create_endpoint_config``. The default bridge needs none:
    its links are the host_config's.
    """
    found = []
    for network in properties[props.NETWORKS] or ():
        name = network[props.NETWORK]
        settings = {}
        if _named(name):
            settings = {'aliases': network[props.ALIASES] or None,
                        'links': dict(links) or None}
        found.append((name, settings))
    return found


def volumes_of(entry: str) -> tuple[str, str]:
    """The container of a ``volumes_from`` entry, and ``:ro`` or such."""
    container, _colon, mode = entry.partition(':')
    if mode not in ('', 'ro', 'rw'):
        raise ValueError(_(
            'Property volumes_from: %s is none of name, name:ro, name:rw.')
            % entry)
    return container, mode and ':' + mode


def _named(network: str | None) -> bool:
    return bool(network) and network not in _NAMELESS


def _first_network(properties):
    networks = properties[props.NETWORKS]
    return networks[0][props.NETWORK] if networks else None


def _ports(properties) -> list[tuple[int, str]]:
    """All that is exposed: what is published is so too."""
    wanted = [*(properties[props.PORT_SPECS] or ()),
              *(properties[props.PORT_BINDINGS] or ())]
    return list(dict.fromkeys(_port(each) for each in wanted))


def _port(text) -> tuple[int, str]:
    match = _PORT.fullmatch(str(text))
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError(_(
            'Properties port_specs and port_bindings: %s is no port; write '
            '80, 80/tcp or 53/udp.') % text)
    return int(match[1]), match[2] or 'tcp'


def _port_bindings(properties) -> dict | None:
    bindings = properties[props.PORT_BINDINGS]
    return bindings and {
        '%d/%s' % _port(port): [_address(each) for each in (
            where if isinstance(where, list) else [where])]
        for port, where in bindings.items()}


def _address(where) -> dict:
    if not isinstance(where, Mapping):
        where = {'HostPort': where}
    if set(where) - {'HostIp', 'HostPort'}:
        raise ValueError(_(
            'Property port_bindings: only HostIp and HostPort are known, not '
            '%s.') % ', '.join(sorted(where)))
    return {name: str(where.get(name) or '')
            for name in ('HostIp', 'HostPort')}


def _bind(source: str, target) -> str:
    if not isinstance(target, Mapping):
        target = {'bind': target}
    path = str(target.get('bind') or '')
    mode = target.get('mode') or ('ro' if target.get('ro') else 'rw')
    if (':' in source or ':' in path or not path.startswith('/') or
            mode not in ('ro', 'rw') or
            set(target) - {'bind', 'ro', 'mode'}):
        raise ValueError(_(
            'Property volumes: %s has to be mounted on an absolute path, '
            'written as a string or as {"bind": path, "ro": boolean}.')
            % source)
    return '%s:%s:%s' % (source, path, mode)


def _devices(properties) -> list[str]:
    return ['%s:%s:%s' % (device[props.PATH_ON_HOST],
                          device[props.PATH_IN_CONTAINER]
                          or device[props.PATH_ON_HOST],
                          device[props.PERMISSIONS])
            for device in properties[props.DEVICES] or ()]


def _strings(labels) -> dict[str, str]:
    return {name: str(value) for name, value in (labels or {}).items()}


def _health_check(wanted) -> dict | None:
    if not wanted:
        return None
    return {
        'Test': wanted[props.TEST],
        'Interval': _nanoseconds(wanted[props.INTERVAL]),
        'Timeout': _nanoseconds(wanted[props.TIMEOUT]),
        'StartPeriod': _nanoseconds(wanted[props.START_PERIOD]),
        'Retries': wanted[props.RETRIES],
    }


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
