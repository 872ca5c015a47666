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

"""Interfaces of servers: veth pairs, addresses, routes."""

from collections.abc import Sequence
import ctypes
import fcntl
import ipaddress
import os
import socket
import struct

from novadocker import privileged
from novadocker.privileged import checks
from novadocker.privileged import namespaces
from novadocker.privileged import netlink

_SIOCETHTOOL = 0x8946              # linux/sockios.h
_ETHTOOL_STXCSUM = 0x17            # linux/ethtool.h
_IFA_F_NODAD = 0x02                # linux/if_addr.h
_RTNH_F_ONLINK = 4                 # linux/rtnetlink.h
_RT_SCOPE_LINK = 253
_LOOPBACK_INDEX = 1


@privileged.ctxt.entrypoint
def link_kind(name: str) -> str:
    """What sort of device this is, such as ``openvswitch`` or ``tun``.

    :returns: an empty string for hardware, and where no such device is
    :raises: ValueError, OSError
    """
    checks.check(checks.DEVICE, name)
    with netlink.connected('look up %s' % name) as host:
        link = netlink.find_link(host, name)
    return netlink.kind(link) if link else ''


@privileged.ctxt.entrypoint
def build_interface(netns_path: str, host_name: str, name: str, mac: str,
                    mtu: int, addresses: Sequence[str],
                    routes: Sequence[tuple[str, str]],
                    checksum_offload: bool) -> bool:
    """Give a namespace a configured interface, its other end on the host.

    Idempotent: an interface whose ends are where they belong is kept, by
    whatever name the namespace knows it; a host end left over from another
    namespace is replaced. On an error nothing new remains.

    :param addresses: CIDRs, the host part being the address
    :param routes: (destination CIDR, gateway); an empty gateway means that
        the destination is on the link
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
    paths = [_path(*route) for route in routes]
    with (namespaces.opened(netns_path) as fd,
          netlink.connected('build %s' % host_name) as host):
        kept = _keep_or_remove(host, fd, host_name)
        try:
            if not kept:
                _create_veth(host, fd, host_name, name, mac, mtu)
            link = netlink.get_link(host, host_name)
            host.link('set', index=link['index'], state='up', mtu=mtu)
            namespaces.inside(
                fd, _configure, link.get_attr('IFLA_LINK'), mac, mtu,
                networks, paths, checksum_offload)
        except Exception:
            if not kept:
                netlink.delete_if_present(host, host_name)
            raise
    return not kept


@privileged.ctxt.entrypoint
def set_master(host_name: str, bridge: str) -> None:
    """Put a host end into the Linux bridge of the hybrid plug.

    :raises: ValueError, OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    checks.check(checks.HYBRID_BRIDGE, bridge)
    with netlink.connected('put %s into %s' % (host_name, bridge)) as host:
        host.link('set', index=netlink.get_link(host, host_name)['index'],
                  master=netlink.get_link(host, bridge)['index'])


@privileged.ctxt.entrypoint
def delete_interface(host_name: str) -> None:
    """Delete a host end, and its peer with it, if it is there.

    :raises: ValueError, OSError
    """
    checks.check(checks.HOST_NAME, host_name)
    with netlink.connected('delete %s' % host_name) as host:
        netlink.delete_if_present(host, host_name)


def _path(destination: str, gateway: str):
    return (ipaddress.ip_network(destination),
            ipaddress.ip_address(gateway) if gateway else None)


def _keep_or_remove(host, fd: int, host_name: str) -> bool:
    """Keep a veth into this namespace; remove anything else of its name."""
    link = netlink.find_link(host, host_name)
    if link is None:
        return False
    if netlink.kind(link) == 'veth' and namespaces.inside(
            fd, _is_peer, link.get_attr('IFLA_LINK'), link['index']):
        return True
    netlink.delete_if_present(host, host_name)
    return False


def _is_peer(inside, index: int, host_index: int) -> bool:
    """Whether the link of this index has its other end at the host's.

    Indices are unique only within a namespace, so it takes both.
    """
    return any(link['index'] == index and netlink.kind(link) == 'veth' and
               link.get_attr('IFLA_LINK') == host_index
               for link in inside.get_links())


def _create_veth(host, fd: int, host_name: str, name: str, mac: str,
                 mtu: int) -> None:
    """The peer is born in its namespace under its final name.

    So it never shows among the host's interfaces, where eth0 is taken.
    """
    host.link('add', ifname=host_name, kind='veth', mtu=mtu,
              peer={'ifname': name, 'address': mac, 'mtu': mtu,
                    'net_ns_fd': fd})
    # Else the host makes itself a link-local address and announces it to
    # the server.
    setting = '/proc/sys/net/ipv6/conf/%s/disable_ipv6' % host_name
    if os.path.exists(setting):
        with open(setting, 'w') as disable_ipv6:
            disable_ipv6.write('1')


def _configure(inside, index: int, mac: str, mtu: int, networks, paths,
               checksum_offload: bool) -> None:
    name = next(iter(inside.get_links(index))).get_attr('IFLA_IFNAME')
    if not checksum_offload:
        _disable_checksum_offload(name)
    inside.link('set', index=_LOOPBACK_INDEX, state='up')
    inside.link('set', index=index, address=mac, mtu=mtu, state='up')
    for network in networks:
        inside.addr('replace', index=index, address=str(network.ip),
                    prefixlen=network.network.prefixlen,
                    **_address_flags(network))
    for destination, gateway in paths:
        inside.route('replace', dst=str(destination), oif=index,
                     family=_family(destination),
                     **_next_hop(destination, gateway, networks))


def _family(address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _address_flags(network) -> dict:
    """Neutron has seen to it that a fixed address is not used twice."""
    return {'flags': _IFA_F_NODAD} if network.version == 6 else {}


def _next_hop(destination, gateway, networks) -> dict:
    """Neutron allows gateways outside of the subnet."""
    if gateway is None:
        return {'scope': _RT_SCOPE_LINK} if destination.version == 4 else {}
    hop: dict[str, str | int] = {'gateway': str(gateway)}
    if not any(gateway in network.network for network in networks):
        hop['flags'] = _RTNH_F_ONLINK
    return hop


def _disable_checksum_offload(name: str) -> None:
    """As ``ethtool -K <name> tx off``, which ends segmentation too.

    A veth leaves checksums to hardware that is not there. Linux bridges know
    that; a bridge on Open vSwitch's userspace datapath forwards the frame as
    it is, and no TCP connection comes up.
    """
    value = ctypes.create_string_buffer(
        struct.pack('II', _ETHTOOL_STXCSUM, 0))
    request = struct.pack('16sP', name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, request)
