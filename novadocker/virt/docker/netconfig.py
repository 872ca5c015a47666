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
import dataclasses
import ipaddress

from nova.network import model as network_model

from novadocker.i18n import _
from novadocker.virt.docker import names

_DEFAULT_MTU = 1500
_ANYWHERE = {4: '0.0.0.0/0', 6: '::/0'}
_UNSPECIFIED = ('0.0.0.0', '::')
_METADATA = '169.254.169.254/32'


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
        return _("VIF type '%s' is not supported, only 'ovs' is (Open "
                 "vSwitch, by ML2/OVN or ML2/OVS)") % vif['type']
    if vif['vnic_type'] != network_model.VNIC_TYPE_NORMAL:
        return _("VNIC type '%s' is not supported, only 'normal' "
                 "is") % vif['vnic_type']
    return None


def hybrid_bridge(vif: network_model.VIF) -> str | None:
    """The Linux bridge between a port and Open vSwitch, if it has one."""
    if not vif.is_hybrid_plug_enabled():
        return None
    return ('qbr' + vif['id'])[:network_model.NIC_NAME_LEN]


def interfaces(vifs: Iterable[network_model.VIF],
               kernel_bridges: Collection[str] = ()
               ) -> list[Interface]:
    """A server's interfaces, in the order of its ports.

    A destination, the default included, belongs to the first port that
    knows a way to it.

    :param kernel_bridges: names of the bridges on the kernel's datapath;
        the ports of others do without checksum offload
    """
    vifs = list(vifs)
    taken: set[str] = set()
    routes = [tuple(_unclaimed(_routes(vif), taken)) for vif in vifs]
    _add_metadata_route(vifs, routes, taken)
    return [
        Interface(
            name=names.guest_interface(index), host_name=vif['devname'],
            mac=vif['address'].lower(), mtu=_mtu(vif),
            addresses=tuple(_addresses(vif)), routes=routes[index],
            checksum_offload=vif['network']['bridge'] in kernel_bridges)
        for index, vif in enumerate(vifs)]


def name_service(vifs: Iterable[network_model.VIF],
                 hostname: str | None) -> NameService:
    """What the server's resolv.conf and hosts shall say.

    :param hostname: may be fully qualified; its domain is searched then
    """
    vifs = list(vifs)
    full = hostname or ''
    short, _dot, domain = full.partition('.')
    aliases: tuple[str, ...] = (full, short) if domain else (short,)
    return NameService(
        nameservers=tuple(dict.fromkeys(_nameservers(vifs))),
        search_domains=(domain,) if domain else (),
        hosts={ip['address']: aliases for vif in vifs
               for ip in vif.fixed_ips()} if short else {})


def _mtu(vif) -> int:
    return int(vif['network'].get_meta('mtu') or _DEFAULT_MTU)


def _subnets(vif) -> Iterator[network_model.Subnet]:
    """The subnets in which the port has an address."""
    return (subnet for subnet in vif['network']['subnets']
            if subnet['ips'])


def _addresses(vif) -> Iterator[str]:
    for subnet in _subnets(vif):
        length = ipaddress.ip_network(subnet['cidr'], False).prefixlen
        for ip in subnet['ips']:
            yield '%s/%d' % (ip['address'], length)


def _routes(vif) -> Iterator[Route]:
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


def _add_metadata_route(vifs, routes: list[tuple[Route, ...]],
                        taken: set[str]) -> None:
    """Metadata is on the link of the first port with IPv4.

    Neutron announces that by DHCP only (ML2/OVN), or as a host route that
    is honoured as such (ML2/OVS).
    """
    if _METADATA in taken:
        return
    for index, vif in enumerate(vifs):
        if any(subnet['version'] == 4 for subnet in _subnets(vif)):
            routes[index] += (Route(_METADATA),)
            return


def _nameservers(vifs) -> Iterator[str]:
    for vif in vifs:
        for subnet in _subnets(vif):
            for server in subnet['dns']:
                if _address(server):
                    yield server['address']
