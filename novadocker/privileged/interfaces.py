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

"""Interfaces of servers: all that their namespaces shall show of a port."""

from collections.abc import Sequence
import ipaddress

from novadocker import privileged
from novadocker.privileged import addresses as ip_addresses
from novadocker.privileged import checks
from novadocker.privileged import namespaces
from novadocker.privileged import netlink
from novadocker.privileged import routes as ip_routes
from novadocker.privileged import veth


@privileged.ctxt.entrypoint
def link_kind(name: str) -> str:
    """What sort of device this is, such as ``openvswitch`` or ``tun``.

    :returns: an empty string for hardware, and where no such device is
    :raises: ValueError, OSError
    """
    checks.check(checks.DEVICE, name)
    with netlink.connected('look up %s' % name) as host:
        link = netlink.find_link(host, ifname=name)
    return netlink.kind(link) if link else ''


@privileged.ctxt.entrypoint
def list_interfaces(netns_path: str) -> dict[str, str]:
    """Names of a namespace's interfaces, each with its host end's name.

    :returns: an empty host end for what is not a port's, such as ``lo`` and
        what a server made for itself
    :raises: ValueError, OSError
    """
    with (namespaces.opened(netns_path) as fd,
          netlink.connected('look into %s' % netns_path) as host):
        return veth.host_ends(host, fd)


@privileged.ctxt.entrypoint
def build_interface(netns_path: str, host_name: str, name: str, mac: str,
                    mtu: int, addresses: Sequence[str],
                    routes: Sequence[tuple[str, str]],
                    checksum_offload: bool) -> bool:
    """Give a namespace a configured interface, its other end on the host.

    Idempotent, and nothing is written that is so already: an interface whose
    ends are where they belong is kept, by whatever name the namespace knows
    it; a host end left over from another namespace is replaced. On an error
    nothing new remains. What is there besides is ``prune_interface``'s.

    :param addresses: CIDRs, the host part being the address
    :param routes: (destination CIDR, gateway); an empty gateway means that
        the destination is on the link. Any other way there is replaced.
    :param checksum_offload: False has the kernel fill in every checksum
    :returns: whether the interface is new
    :raises: ValueError; FileExistsError if another interface has the name;
        OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    checks.check(checks.GUEST_NAME, name)
    checks.check(checks.MAC, mac)
    if not 68 <= mtu <= 65535:
        raise ValueError('not an MTU: %r' % mtu)
    networks = [ipaddress.ip_interface(address) for address in addresses]
    paths = [ip_routes.parse(*route) for route in routes]
    with (namespaces.opened(netns_path) as fd,
          netlink.connected('build %s' % host_name) as host):
        kept = _keep_or_remove(host, fd, host_name)
        try:
            if not kept:
                veth.create(host, fd, host_name, name, mac, mtu)
            link = netlink.get_link(host, host_name)
            veth.set_up(host, link, mtu)
            namespaces.inside(
                fd, _configure, link.get_attr('IFLA_LINK'), mac, mtu,
                networks, paths, checksum_offload)
        except Exception:
            if not kept:
                netlink.delete_if_present(host, host_name)
            raise
    return not kept


@privileged.ctxt.entrypoint
def prune_interface(netns_path: str, host_name: str,
                    addresses: Sequence[str],
                    routes: Sequence[tuple[str, str]]) -> None:
    """Remove every other address and route of a built interface.

    Link-local IPv6 addresses stay, and the routes that the kernel or a
    routing daemon made.

    :raises: ValueError, OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    networks = [ipaddress.ip_interface(address) for address in addresses]
    paths = [ip_routes.parse(*route) for route in routes]
    with (namespaces.opened(netns_path) as fd,
          netlink.connected('prune %s' % host_name) as host):
        link = netlink.get_link(host, host_name)
        if not veth.leads_to(host, link, fd):
            raise ValueError('%s leads elsewhere' % host_name)
        namespaces.inside(fd, _prune, link.get_attr('IFLA_LINK'), networks,
                          paths)


@privileged.ctxt.entrypoint
def set_master(host_name: str, bridge: str) -> None:
    """Put a host end into the Linux bridge of the hybrid plug.

    :raises: ValueError, OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    checks.check(checks.HYBRID_BRIDGE, bridge)
    with netlink.connected('put %s into %s' % (host_name, bridge)) as host:
        link = netlink.get_link(host, host_name)
        master = netlink.get_link(host, bridge)['index']
        if link.get_attr('IFLA_MASTER') != master:
            host.link('set', index=link['index'], master=master)


@privileged.ctxt.entrypoint
def delete_interface(host_name: str) -> None:
    """Delete a host end, and its peer with it, if it is there.

    :raises: ValueError, OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    with netlink.connected('delete %s' % host_name) as host:
        netlink.delete_if_present(host, host_name)


def _keep_or_remove(host: netlink.Socket, fd: int, host_name: str) -> bool:
    """Keep a veth into this namespace; remove anything else of its name."""
    link = netlink.find_link(host, ifname=host_name)
    if link is None:
        return False
    if veth.leads_to(host, link, fd):
        return True
    netlink.delete_if_present(host, host_name)
    return False


def _configure(inside: netlink.Socket, index: int, mac: str, mtu: int,
               networks: Sequence[ip_addresses.Address],
               paths: Sequence[ip_routes.Path],
               checksum_offload: bool) -> None:
    link = netlink.link_of_index(inside, index)
    veth.set_checksum_offload(link.get_attr('IFLA_IFNAME'), checksum_offload)
    veth.set_loopback_up(inside)
    veth.set_up(inside, link, mtu, mac)
    ip_addresses.add_missing(inside, index, networks)
    ip_routes.add_missing(inside, index, paths, networks)


def _prune(inside: netlink.Socket, index: int,
           networks: Sequence[ip_addresses.Address],
           paths: Sequence[ip_routes.Path]) -> None:
    ip_routes.remove_others(inside, index, paths)
    ip_addresses.remove_others(inside, index, networks)
