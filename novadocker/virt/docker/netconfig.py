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


"""Pure: what Nova says of a server's ports, as interfaces and name service.

Addresses are static. Nothing inside a server asks for a lease, so all that
Neutron's DHCP would have told is set here.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import ipaddress
import itertools
import re

from nova.network import model as network_model

from novadocker.i18n import _
from novadocker.virt.docker import names

_DEFAULT_MTU = 1500
_ANYWHERE = {4: '0.0.0.0/0', 6: '::/0'}
_UNSPECIFIED = ('0.0.0.0', '::')
_METADATA = '169.254.169.254/32'
_OUR_NAME = re.compile('eth[0-9]{1,4}')


@dataclasses.dataclass(frozen=True)
class Route:
    """``destination`` is a CIDR; ``gateway`` None means on the link."""

    destination: str
    gateway: str | None = None


@dataclasses.dataclass(frozen=True)
class Interface:
    """One network interface of a server, as its namespace shall show it.

    ``name`` is the name inside, ``host_name`` the host end of the veth.
    ``addresses`` are CIDRs such as ``10.0.0.5/24`` and ``2001:db8::5/64``.
    ``checksum_offload`` False makes the kernel fill in checksums itself,
    which a bridge on the userspace datapath needs.
    """

    name: str
    host_name: str
    mac: str
    mtu: int
    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    checksum_offload: bool = True


@dataclasses.dataclass(frozen=True)
class NameService:
    """What the server's /etc/resolv.conf and /etc/hosts shall say."""

    nameservers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict)


def refusal(vif: network_model.VIF) -> str | None:
    """Why a port cannot be plugged, in words for its owner; else None."""
    if vif['type'] != network_model.VIF_TYPE_OVS:
        return str(_("VIF type '%s' is not supported, only 'ovs' is (Open "
                     "vSwitch, by ML2/OVN or ML2/OVS)") % vif['type'])
    if vif['vnic_type'] != network_model.VNIC_TYPE_NORMAL:
        return str(_("VNIC type '%s' is not supported, only 'normal' "
                     "is") % vif['vnic_type'])
    return None


def hybrid_bridge(vif: network_model.VIF) -> str | None:
    """The Linux bridge between a port and Open vSwitch, if it has one."""
    if not vif.is_hybrid_plug_enabled():
        return None
    return str('qbr' + vif['id'])[:network_model.NIC_NAME_LEN]


def interfaces(vifs: Iterable[network_model.VIF],
               kernel_bridges: Collection[str] = (),
               present: Mapping[str, str] | None = None
               ) -> list[Interface]:
    """A server's interfaces, in the order of its ports.

    A destination, the default included, belongs to the first port that
    knows a way to it.

    :param kernel_bridges: names of the bridges on the kernel's datapath;
        the ports of others do without checksum offload
    :param present: interfaces that the server has, by name, with the host
        end's name or an empty string. A port that stays keeps its name, a
        new one takes the lowest that is free then.
    """
    vifs = list(vifs)
    guest_names = _guest_names(vifs, present or {})
    taken: set[str] = set()
    routes = [tuple(_unclaimed(_routes(vif), taken)) for vif in vifs]
    _add_metadata_route(vifs, routes, taken)
    return [
        Interface(
            name=guest_names[index], host_name=vif['devname'],
            mac=vif['address'].lower(), mtu=_mtu(vif),
            addresses=tuple(_addresses(vif)), routes=routes[index],
            checksum_offload=vif['network']['bridge'] in kernel_bridges)
        for index, vif in enumerate(vifs)]


def name_service(vifs: Iterable[network_model.VIF],
                 hostname: str | None,
                 default_servers: Sequence[str] = ()) -> NameService:
    """What the server's resolv.conf and hosts shall say.

    :param hostname: may be fully qualified; its domain is searched then
    :param default_servers: for servers whose subnets Neutron has none for
    """
    vifs = list(vifs)
    full = hostname or ''
    short, _dot, domain = full.partition('.')
    aliases: tuple[str, ...] = (full, short) if domain else (short,)
    return NameService(
        nameservers=tuple(dict.fromkeys(
            _nameservers(vifs, default_servers))),
        search_domains=(domain,) if domain else (),
        hosts={ip['address']: aliases for vif in vifs
               for ip in vif.fixed_ips()} if short else {})


def _guest_names(vifs: Collection[network_model.VIF],
                 present: Mapping[str, str]) -> list[str]:
    """A server that may rename its interface has it known by the port."""
    devices = {vif['devname'] for vif in vifs}
    kept = {device: name for name, device in present.items()
            if device in devices and _OUR_NAME.fullmatch(name)}
    # The others' are about to go, all but those of the server's own.
    taken = {name for name, device in present.items()
             if not device or device in devices}
    free = (name for name in map(names.guest_interface, itertools.count())
            if name not in taken)
    return [kept.get(vif['devname']) or next(free) for vif in vifs]


def _mtu(vif: network_model.VIF) -> int:
    return int(vif['network'].get_meta('mtu') or _DEFAULT_MTU)


def _subnets(vif: network_model.VIF) -> Iterator[network_model.Subnet]:
    """The subnets in which the port has an address."""
    return (subnet for subnet in vif['network']['subnets']
            if subnet['ips'])


def _addresses(vif: network_model.VIF) -> Iterator[str]:
    for subnet in _subnets(vif):
        length = ipaddress.ip_network(subnet['cidr'], False).prefixlen
        for ip in subnet['ips']:
            yield '%s/%d' % (ip['address'], length)


def _routes(vif: network_model.VIF) -> Iterator[Route]:
    """The subnets' host routes, then their gateways.

    In this order, as a host route for everything replaces the gateway
    (RFC 3442).
    """
    for subnet in _subnets(vif):
        for route in subnet['routes']:
            yield Route(_network(route['cidr']),
                        _address(route['gateway']))
        gateway = _address(subnet['gateway'])
        if gateway:
            yield Route(_ANYWHERE[subnet['version']], gateway)


def _network(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr, strict=False))


def _address(ip: network_model.IP | None) -> str | None:
    """None where there is none; Neutron may write that as 0.0.0.0."""
    address = ip['address'] if ip else None
    return None if address in _UNSPECIFIED else address


def _unclaimed(routes: Iterable[Route],
               taken: set[str]) -> Iterator[Route]:
    for route in routes:
        if route.destination not in taken:
            taken.add(route.destination)
            yield route


def _add_metadata_route(vifs: Iterable[network_model.VIF],
                        routes: list[tuple[Route, ...]],
                        taken: set[str]) -> None:
    """As DHCP would tell it, on the first port with IPv4.

    A host route of a subnet was honoured as such before.
    """
    if _METADATA in taken:
        return
    for index, vif in enumerate(vifs):
        subnets = [subnet for subnet in _subnets(vif)
                   if subnet['version'] == 4]
        if subnets:
            routes[index] += tuple(_metadata_routes(subnets))[:1]
            return


def _metadata_routes(subnets: Iterable[network_model.Subnet]
                     ) -> Iterator[Route]:
    """Where DHCP is an agent's, a subnet's router answers, or the agent.

    The agent does where the subnet has no router. Where DHCP is OVN's,
    metadata is on the link. A subnet without DHCP is told of neither.
    """
    for subnet in subnets:
        server = subnet.get_meta('dhcp_server')
        if server:
            yield Route(_METADATA, _address(subnet['gateway']) or server)
        elif subnet.get_meta('enable_dhcp'):
            yield Route(_METADATA)


def _nameservers(vifs: Iterable[network_model.VIF],
                 defaults: Sequence[str]) -> Iterator[str]:
    subnets = [subnet for vif in vifs for subnet in _subnets(vif)]
    for subnet in subnets:
        for server in subnet['dns'] or _dhcp_server(subnet):
            if _address(server):
                yield server['address']
    if subnets and not any(subnet['dns'] or _dhcp_server(subnet)
                           for subnet in subnets):
        yield from defaults


def _dhcp_server(subnet: network_model.Subnet) -> list[network_model.IP]:
    """Which names itself as the resolver of a subnet that has none."""
    server = subnet.get_meta('dhcp_server')
    return [network_model.IP(address=server, type='dns')] if server else []
