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

"""Routes of an interface, in the thread's own network namespace.

Only the main table is looked at, and in it only what someone configured:
the kernel's own routes, and those of a routing daemon that a server may run,
are not ours to judge.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import ipaddress
import socket
from typing import NamedTuple

from novadocker.privileged import addresses
from novadocker.privileged import netlink

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Gateway = ipaddress.IPv4Address | ipaddress.IPv6Address

_RTNH_F_ONLINK = 4                 # linux/rtnetlink.h
_RT_SCOPE_LINK = 253
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1
# ip(8) by default, everyone who asks for it, DHCP clients.
_CONFIGURED = frozenset((3, 4, 16))
_METRICS = {4: 0, 6: 1024}
_ANYWHERE = {4: '0.0.0.0', 6: '::'}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Path(NamedTuple):
    """A way to a destination; without gateway, it is on the link."""

    destination: Network
    gateway: Gateway | None


class _Found(NamedTuple):
    path: Path
    metric: int
    plain: bool
    message: netlink.Link


def parse(destination: str, gateway: str) -> Path:
    """:raises: ValueError"""
    return Path(ipaddress.ip_network(destination),
                ipaddress.ip_address(gateway) if gateway else None)


def add_missing(inside: netlink.Socket, index: int, wanted: Sequence[Path],
                own: Collection[addresses.Address]) -> None:
    """One that leads to the same destination elsewhere is replaced.

    The kernel does that in one step, so that a server is not without a
    default route for a moment.

    :param own: addresses of the interface
    """
    present = {found.path for found in _configured(inside, index)
               if _as_we_set_it(found)}
    for path in wanted:
        if path not in present:
            inside.route(
                'replace', dst=str(path.destination), oif=index,
                family=_FAMILIES[path.destination.version],
                **_next_hop(path, own))


def remove_others(inside: netlink.Socket, index: int,
                  wanted: Collection[Path]) -> None:
    for found in list(_configured(inside, index)):
        if found.path not in wanted or not _as_we_set_it(found):
            _remove(inside, found)


def _configured(inside: netlink.Socket, index: int) -> Iterator[_Found]:
    for version, family in _FAMILIES.items():
        for message in inside.get_routes(family=family):
            if (message.get_attr('RTA_TABLE') == _RT_TABLE_MAIN
                    and message['proto'] in _CONFIGURED
                    and index in _devices(message)):
                yield _parsed(message, version)


def _devices(message: netlink.Link) -> list[int]:
    """Of all hops, as a route may be spread over some."""
    return [message.get_attr('RTA_OIF')] + [
        hop['oif'] for hop in message.get_attr('RTA_MULTIPATH') or ()]


def _parsed(message: netlink.Link, version: int) -> _Found:
    gateway = message.get_attr('RTA_GATEWAY')
    destination = ipaddress.ip_network('%s/%d' % (
        message.get_attr('RTA_DST') or _ANYWHERE[version],
        message['dst_len']))
    return _Found(
        Path(destination, ipaddress.ip_address(gateway) if gateway else None),
        message.get_attr('RTA_PRIORITY') or 0,
        message['type'] == _RTN_UNICAST and not message['tos']
        and not message.get_attr('RTA_MULTIPATH')
        and not message.get_attr('RTA_VIA'), message)


def _as_we_set_it(found: _Found) -> bool:
    return (found.plain and
            found.metric == _METRICS[found.path.destination.version])


def _next_hop(path: Path, own: Collection[addresses.Address]
              ) -> dict[str, str | int]:
    """Neutron allows gateways outside of the subnet."""
    if path.gateway is None:
        on_link = path.destination.version == 4
        return {'scope': _RT_SCOPE_LINK} if on_link else {}
    hop: dict[str, str | int] = {'gateway': str(path.gateway)}
    if not any(path.gateway in address.network for address in own):
        hop['flags'] = _RTNH_F_ONLINK
    return hop


def _remove(inside: netlink.Socket, found: _Found) -> None:
    """By what the kernel said of it, so that it is this one that goes."""
    message = found.message
    named = {'gateway': 'RTA_GATEWAY', 'oif': 'RTA_OIF',
             'priority': 'RTA_PRIORITY'}
    given = {key: message.get_attr(name) for key, name in named.items()
             if message.get_attr(name) is not None}
    with netlink.gone_is_fine():
        inside.route(
            'del', family=message['family'], dst=str(found.path.destination),
            table=_RT_TABLE_MAIN, proto=message['proto'],
            tos=message['tos'], scope=message['scope'],
            type=message['type'], **given)
