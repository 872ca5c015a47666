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

"""veth pairs: one end on the host, the other in a server's namespace."""

import ctypes
import fcntl
import os
import socket
import struct

from novadocker.privileged import checks
from novadocker.privileged import namespaces
from novadocker.privileged import netlink

_SIOCETHTOOL = 0x8946              # linux/sockios.h
_ETHTOOL_GTXCSUM = 0x16            # linux/ethtool.h
_ETHTOOL_STXCSUM = 0x17
_IFF_UP = 1                        # linux/if.h
_LOOPBACK_INDEX = 1


def host_ends(host: netlink.Socket, fd: int) -> dict[str, str]:
    """The links of a namespace by name, each with its host end's name.

    An empty string stands for a link that does not lead to a port's device
    on the host, such as one that the server made for itself.
    """
    links = namespaces.inside(fd, _peers)
    return {name: _host_end(host, fd, index, peer) if peer else ''
            for index, name, peer in links}


def leads_to(host: netlink.Socket, link: netlink.Link, fd: int) -> bool:
    """Whether a link of the host has its peer in this namespace.

    By the kernel's id of the namespace: indices are unique only within one,
    and a server that may make links can choose theirs.
    """
    if netlink.kind(link) != 'veth':
        return False
    return bool(link.get_attr('IFLA_LINK_NETNSID')
                == host.get_netnsid(fd=fd)['nsid'])


def create(host: netlink.Socket, fd: int, host_name: str, name: str,
           mac: str, mtu: int) -> None:
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


def set_up(ipr: netlink.Socket, link: netlink.Link, mtu: int,
           mac: str | None = None) -> None:
    """Change only what differs; a link that is as wanted is left alone."""
    changes: dict[str, str | int] = {}
    if link.get_attr('IFLA_MTU') != mtu:
        changes['mtu'] = mtu
    if mac and link.get_attr('IFLA_ADDRESS') != mac:
        changes['address'] = mac
    if not link['flags'] & _IFF_UP:
        changes['state'] = 'up'
    if changes:
        ipr.link('set', index=link['index'], **changes)


def set_loopback_up(inside: netlink.Socket) -> None:
    loopback = netlink.link_of_index(inside, _LOOPBACK_INDEX)
    if not loopback['flags'] & _IFF_UP:
        inside.link('set', index=_LOOPBACK_INDEX, state='up')


def set_checksum_offload(name: str, wanted: bool) -> None:
    """As ``ethtool -K <name> tx on|off``; off ends segmentation too.

    A veth leaves checksums to hardware that is not there. Linux bridges know
    that; a bridge on Open vSwitch's userspace datapath forwards the frame as
    it is, and no TCP connection comes up.
    """
    if _ethtool(name, _ETHTOOL_GTXCSUM, 0) != wanted:
        _ethtool(name, _ETHTOOL_STXCSUM, int(wanted))


def _ethtool(name: str, command: int, value: int) -> bool:
    data = ctypes.create_string_buffer(struct.pack('II', command, value))
    request = struct.pack('16sP', name.encode(), ctypes.addressof(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, request)
    return bool(struct.unpack_from('II', data)[1])


def _peers(inside: netlink.Socket) -> list[tuple[int, str, int]]:
    """Index and name of every link; the peer's index if it is a veth's."""
    return [(link['index'], link.get_attr('IFLA_IFNAME'),
             link.get_attr('IFLA_LINK', 0)
             if netlink.kind(link) == 'veth' else 0)
            for link in inside.get_links()]


def _host_end(host: netlink.Socket, fd: int, index: int, peer: int) -> str:
    link = netlink.find_link(host, index=peer)
    if link is None or link.get_attr('IFLA_LINK') != index:
        return ''
    name = link.get_attr('IFLA_IFNAME')
    if not checks.HOST_NAME.fullmatch(name) or not leads_to(host, link, fd):
        return ''
    return str(name)
