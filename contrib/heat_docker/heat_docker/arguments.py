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
import ipaddress
import re
from typing import Any

from heat.common.i18n import _

from heat_docker import properties as props
from heat_docker import scalars

_PORT = re.compile(r'(\d{1,5})(?:/(tcp|udp|sctp))?')
_HOST_PORT = re.compile(r'(\d{1,5})(?:-(\d{1,5}))?')
_NANOSECONDS = 10 ** 9
# Networks in which the engine knows no names, so gives no aliases either.
_NAMELESS = ('bridge', 'default', 'host', 'none')


def check(properties: props.Values) -> None:
    """:raises: ValueError"""
    config(properties, {})
    host_config(properties, links(properties), volumes_from(properties))


def config(properties: props.Values,
           labels: Mapping[str, str]) -> dict[str, Any]:
    """For ``APIClient.create_container_config``."""
    return {
        'image': properties[props.IMAGE],
        'command': _words(properties, props.CMD),
        'hostname': properties[props.HOSTNAME] or None,
        'user': properties[props.USER] or None,
        'tty': properties[props.TTY],
        'stdin_open': properties[props.OPEN_STDIN],
        # Nobody is attached while a stack is created.
        'detach': True,
        'environment': _environment(properties),
        'ports': _ports(properties),
        'labels': {**_map(properties, props.LABELS), **labels},
        'healthcheck': _health_check(properties[props.HEALTH_CHECK]),
    }


def host_config(properties: props.Values, links: Mapping[str, str],
                sources: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """For ``APIClient.create_host_config``.

    :param links: containers and their aliases
    :param sources: containers whose volumes to mount, each with its mode
    """
    privileged = properties[props.PRIVILEGED]
    network = _first_network(properties)
    return {
        'privileged': privileged,
        'binds': [_bind(*item) for item
                  in (properties[props.VOLUMES] or {}).items()],
        'volumes_from': [container + mode for container, mode in sources],
        'port_bindings': _port_bindings(properties),
        'links': None if _named(network) else dict(links),
        'network_mode': network,
        'dns': _name_servers(properties),
        'restart_policy': properties[props.RESTART_POLICY] or None,
        'cap_add': properties[props.CAP_ADD] or None,
        'cap_drop': properties[props.CAP_DROP] or None,
        'read_only': properties[props.READ_ONLY],
        'devices': None if privileged else _devices(properties),
        **limits(properties),
    }


def limits(properties: props.Values) -> dict[str, Any]:
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


def update(properties: props.Values) -> dict[str, Any]:
    """For ``APIClient.update_container``."""
    return dict(limits(properties),
                restart_policy=properties[props.RESTART_POLICY])


def endpoints(properties: props.Values, links: Mapping[str, str]
              ) -> list[tuple[str, dict[str, Any]]]:
    """Networks in the order of joining, each with its endpoint's settings.

    For ``APIClient.create_endpoint_config``. The default bridge needs none:
    its links are the host_config's.
    """
    found = []
    for network in properties[props.NETWORKS] or ():
        name = network[props.NETWORK]
        settings: dict[str, Any] = {}
        if _named(name):
            settings = {'aliases': network[props.ALIASES] or None,
                        'links': dict(links) or None}
        found.append((name, settings))
    return found


def links(properties: props.Values) -> dict[str, str]:
    """Containers to link to, as the template names them, and aliases."""
    return _map(properties, props.LINKS)


def volumes_from(properties: props.Values) -> list[tuple[str, str]]:
    """Containers, as the template names them, each with ``:ro`` or such."""
    return [_source(entry)
            for entry in _words(properties, props.VOLUMES_FROM) or ()]


def _source(entry: str) -> tuple[str, str]:
    container, _colon, mode = entry.partition(':')
    if mode not in ('', 'ro', 'rw'):
        raise ValueError(_(
            'Property volumes_from: %s is none of name, name:ro, name:rw.')
            % entry)
    return container, mode and ':' + mode


def _words(properties: props.Values, name: str) -> list[str] | None:
    """A list as text; None, the engine's default, if there is nothing."""
    return [scalars.text(name, each)
            for each in properties[name] or ()] or None


def _map(properties: props.Values, name: str) -> dict[str, str]:
    return {scalars.text(name, key): scalars.text(name, value)
            for key, value in (properties[name] or {}).items()}


def _environment(properties: props.Values) -> list[str] | None:
    for entry in properties[props.ENV] or ():
        if isinstance(entry, Mapping) or str(entry).startswith('='):
            raise ValueError(_(
                'Property env: %s is no variable; write NAME=value.') % entry)
    return _words(properties, props.ENV)


def _name_servers(properties: props.Values) -> list[str] | None:
    addresses = _words(properties, props.DNS) or []
    for address in filter(None, addresses):
        # The engine would write anything down, and nobody would be asked.
        _check_address(props.DNS, address)
    return list(filter(None, addresses)) or None


def _check_address(name: str, address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(_(
            'Property %(name)s: %(address)s is no IP address.')
            % {'name': name, 'address': address}) from None


def _named(network: str | None) -> bool:
    return bool(network) and network not in _NAMELESS


def _first_network(properties: props.Values) -> str | None:
    networks = properties[props.NETWORKS]
    return networks[0][props.NETWORK] if networks else None


def _ports(properties: props.Values) -> list[tuple[int, str]]:
    """All that is exposed: what is published is so too."""
    wanted = [*(properties[props.PORT_SPECS] or ()),
              *(properties[props.PORT_BINDINGS] or ())]
    return list(dict.fromkeys(_port(each) for each in wanted))


def _port(written: object) -> tuple[int, str]:
    match = _PORT.fullmatch(str(written))
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError(_(
            'Properties port_specs and port_bindings: %s is no port; write '
            '80, 80/tcp or 53/udp.') % written)
    return int(match[1]), match[2] or 'tcp'


def _port_bindings(properties: props.Values
                   ) -> dict[str, list[dict[str, str]]] | None:
    bindings = properties[props.PORT_BINDINGS]
    return bindings and {
        '%d/%s' % _port(port): [_address(each) for each in (
            where if isinstance(where, list) else [where])]
        for port, where in bindings.items()}


def _address(where: object) -> dict[str, str]:
    if not isinstance(where, Mapping):
        where = {'HostPort': where}
    if set(where) - {'HostIp', 'HostPort'}:
        raise ValueError(_(
            'Property port_bindings: only HostIp and HostPort are known, not '
            '%s.') % ', '.join(sorted(map(str, where))))
    found = {name: scalars.text(props.PORT_BINDINGS, where.get(name))
             for name in ('HostIp', 'HostPort')}
    if found['HostIp']:
        _check_address(props.PORT_BINDINGS, found['HostIp'])
    _check_host_port(found['HostPort'])
    return found


def _check_host_port(written: str) -> None:
    match = _HOST_PORT.fullmatch(written)
    ports = map(int, filter(None, match.groups())) if match else [-1]
    if written and not all(0 <= port < 65536 for port in ports):
        raise ValueError(_(
            'Property port_bindings: %s is no port of the host; write 8080, '
            'or 8080-8090 for any of these.') % written)


def _bind(source: object, target: object) -> str:
    if not isinstance(target, Mapping):
        target = {'bind': target}
    source = scalars.text(props.VOLUMES, source)
    path = scalars.text(props.VOLUMES, target.get('bind'))
    read_only = scalars.flag(props.VOLUMES, target.get('ro'))
    mode = target.get('mode') or ('ro' if read_only else 'rw')
    if (':' in source or ':' in path or not path.startswith('/') or
            mode not in ('ro', 'rw') or
            set(target) - {'bind', 'ro', 'mode'}):
        raise ValueError(_(
            'Property volumes: %s has to be mounted on an absolute path, '
            'written as a string or as {"bind": path, "ro": boolean}.')
            % source)
    return '%s:%s:%s' % (source, path, mode)


def _devices(properties: props.Values) -> list[str]:
    return ['%s:%s:%s' % (device[props.PATH_ON_HOST],
                          device[props.PATH_IN_CONTAINER]
                          or device[props.PATH_ON_HOST],
                          device[props.PERMISSIONS])
            for device in properties[props.DEVICES] or ()]


def _health_check(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not wanted:
        return None
    return {
        'Test': [scalars.text(props.HEALTH_CHECK, word)
                 for word in wanted[props.TEST]],
        'Interval': _nanoseconds(wanted[props.INTERVAL]),
        'Timeout': _nanoseconds(wanted[props.TIMEOUT]),
        'StartPeriod': _nanoseconds(wanted[props.START_PERIOD]),
        'Retries': wanted[props.RETRIES],
    }


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
