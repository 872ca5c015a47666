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

"""The attributes of a container, out of what the engine says about it.

Docker Engine up to 28 repeats the address of the default bridge at the top
of ``NetworkSettings``, and leaves those fields empty for any other network;
Engine 29 has no such fields. Here they come from ``Networks`` always, so that
the answer is the same with every engine and every network.
"""

from collections.abc import Mapping
from typing import Any

from heat.common.i18n import _
from heat.engine import attributes

ATTRIBUTES = (
    INFO, NETWORK_INFO, NETWORK_IP, NETWORK_GATEWAY, NETWORK_TCP_PORTS,
    NETWORK_UDP_PORTS, LOGS, LOGS_HEAD, LOGS_TAIL,
) = (
    'info', 'network_info', 'network_ip', 'network_gateway',
    'network_tcp_ports', 'network_udp_ports', 'logs', 'logs_head',
    'logs_tail',
)

_ADDRESS_FIELDS = {
    'IPAddress': '', 'IPPrefixLen': 0, 'Gateway': '', 'MacAddress': '',
    'EndpointID': '', 'GlobalIPv6Address': '', 'GlobalIPv6PrefixLen': 0,
    'IPv6Gateway': '',
}


def _attribute(description: str, kind: str = attributes.Schema.STRING
               ) -> attributes.Schema:
    # A container changes without Heat, so nothing is kept.
    return attributes.Schema(description, type=kind,
                             cache_mode=attributes.Schema.CACHE_NONE)


SCHEMA = {
    INFO: _attribute(_('Container info.'), attributes.Schema.MAP),
    NETWORK_INFO: _attribute(
        _('Container network info.'), attributes.Schema.MAP),
    NETWORK_IP: _attribute(_('Container ip address.')),
    NETWORK_GATEWAY: _attribute(_('Container ip gateway.')),
    NETWORK_TCP_PORTS: _attribute(
        _('Ports of the host for TCP, separated by commas.')),
    NETWORK_UDP_PORTS: _attribute(
        _('Ports of the host for UDP, separated by commas.')),
    LOGS: _attribute(_('Container logs, the last MiB.')),
    LOGS_HEAD: _attribute(_('Container first logs line.')),
    LOGS_TAIL: _attribute(_('Container last logs line.')),
}


def resolve(name: str, info: Mapping[str, Any]) -> Any:
    """Any attribute but the logs.

    :param info: the engine's answer to an inspection
    """
    if name == INFO:
        return info
    network = network_info(info)
    return {
        NETWORK_INFO: network,
        NETWORK_IP: network['IPAddress'],
        NETWORK_GATEWAY: network['Gateway'],
        NETWORK_TCP_PORTS: network['TcpPorts'],
        NETWORK_UDP_PORTS: network['UdpPorts'],
    }[name]


def network_info(info: Mapping[str, Any]) -> dict[str, Any]:
    settings = info['NetworkSettings']
    address = _main_network(info)
    return {
        **settings,
        **{field: address.get(field) or empty
           for field, empty in _ADDRESS_FIELDS.items()},
        'TcpPorts': _host_ports(settings, 'tcp'),
        'UdpPorts': _host_ports(settings, 'udp'),
    }


def _main_network(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The network the container was created with, else its first one."""
    networks: Mapping[str, Mapping[str, Any]] = (
        info['NetworkSettings'].get('Networks') or {})
    mode = info['HostConfig'].get('NetworkMode') or 'default'
    name = 'bridge' if mode == 'default' else mode
    return networks.get(name) or next(iter(networks.values()), {})


def _host_ports(settings: Mapping[str, Any], protocol: str) -> str:
    """Each once, though it may be published for IPv4 and for IPv6."""
    ports = settings.get('Ports') or {}
    return ','.join(dict.fromkeys(
        binding['HostPort'] for port, bindings in ports.items()
        if port.endswith('/' + protocol) for binding in bindings or ()))
