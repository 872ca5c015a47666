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


"""Every operation that needs root, and nothing else.

The links that show namespaces to ``ip netns`` are made through rootwrap, by
the commands that ``etc/nova/rootwrap.d/docker.filters`` allows. All else
runs in a privsep daemon of our own. What crosses over to it is plain strings
and numbers, and it is checked here again: this is the border of trust.

This module is imported by the daemon, so it imports nothing of Nova.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import os
import re
import socket
import stat
import struct

from oslo_concurrency import processutils
from oslo_privsep import capabilities
from oslo_privsep import daemon
from oslo_privsep import priv_context
import pyroute2
from pyroute2.netlink import exceptions as netlink_exceptions
from pyroute2 import netns

ctxt = priv_context.PrivContext(
    'novadocker', cfg_section='novadocker_privileged',
    pypath=__name__ + '.ctxt',
    capabilities=[
        capabilities.CAP_NET_ADMIN,      # links, addresses, routes
        capabilities.CAP_SYS_ADMIN,      # setns(2)
        capabilities.CAP_SYS_PTRACE,     # open /proc/<pid>/ns/net
        # An engine with userns-remap gives its files to another user.
        capabilities.CAP_DAC_OVERRIDE,
    ])

# What a call may raise: a refusal, the kernel's answer, the daemon or
# rootwrap not starting.
ERRORS = (ValueError, OSError, daemon.FailedToDropPrivileges,
          processutils.ProcessExecutionError)

# The two spellings of a namespace that rootwrap's filters allow. An engine
# that keeps its run-time files elsewhere is reached through /proc.
NETNS_PATH = re.compile(
    r'(?:/var)?/run/[a-z0-9][a-z0-9_.-]*/netns/[0-9a-f]{12}'
    r'|/proc/[1-9][0-9]*/ns/net')

_NETNS_LINK = re.compile(
    r'/var/run/netns/nova-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_HOST_NAME = re.compile(r'tap[0-9a-f-]{11}')
_HYBRID_BRIDGE = re.compile(r'qbr[0-9a-f-]{11}')
_GUEST_NAME = re.compile(r'eth[0-9]{1,4}')
_DEVICE = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}')
_MAC = re.compile(r'[0-9a-f]{2}(?::[0-9a-f]{2}){5}')
_ENGINE_FILE = re.compile(
    r'/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)+containers/[0-9a-f]{64}/'
    r'(?:resolv\.conf|hosts)')
_DOMAIN = re.compile(r'[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?')

_NS_GET_NSTYPE = 0xb703            # linux/nsfs.h
_CLONE_NEWNET = 0x40000000         # linux/sched.h
_SIOCETHTOOL = 0x8946              # linux/sockios.h
_ETHTOOL_STXCSUM = 0x17            # linux/ethtool.h
_IFA_F_NODAD = 0x02                # linux/if_addr.h
_RTNH_F_ONLINK = 4                 # linux/rtnetlink.h
_RT_SCOPE_LINK = 253
_LOOPBACK_INDEX = 1

# What the engine puts into every container's hosts file.
_STANDARD_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


# The link for ip(8), through rootwrap

def link_namespace(netns_path: str, link: str, root_helper: str) -> None:
    """Make ``link`` show the namespace; a link that does is left alone.

    :param root_helper: not used by a process that is root itself
    :raises: ValueError, ProcessExecutionError
    """
    _check(NETNS_PATH, netns_path)
    _check(_NETNS_LINK, link)
    if os.path.islink(link) and os.readlink(link) == netns_path:
        return
    directory = os.path.dirname(link)
    if not os.path.isdir(directory):
        _as_root(root_helper, 'mkdir', '-p', directory)
    _as_root(root_helper, 'ln', '-sfn', netns_path, link)


def unlink_namespace(link: str, root_helper: str) -> None:
    """Remove a link of ``link_namespace``, if it is there.

    :raises: ValueError, ProcessExecutionError
    """
    _check(_NETNS_LINK, link)
    if os.path.lexists(link):
        _as_root(root_helper, 'rm', '-f', link)


def _as_root(root_helper: str, *command: str) -> None:
    processutils.execute(*command, run_as_root=True, root_helper=root_helper)


# The data path, through privsep

@ctxt.entrypoint
def start_daemon() -> None:
    """Do nothing, but do it in the daemon, which starts on first use."""


@ctxt.entrypoint
def link_kind(name: str) -> str:
    """What sort of device this is, such as ``openvswitch`` or ``tun``.

    :returns: an empty string for hardware, and where no such device is
    :raises: ValueError, OSError
    """
    _check(_DEVICE, name)
    with _netlink('look up %s' % name) as host:
        link = _find_link(host, name)
    return _kind(link) if link else ''


@ctxt.entrypoint
def first_namespace(paths: Sequence[str]) -> str:
    """The first of these paths at which there is a network namespace.

    An engine's own handle is a mount, which a process with mounts of its
    own may see as an empty file.

    :raises: ValueError; OSError of the last path if there is none
    """
    *others, last = paths
    for path in others:
        try:
            with _namespace(path):
                return path
        except OSError:
            continue
    with _namespace(last):
        return last


@ctxt.entrypoint
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
    _check(_HOST_NAME, host_name)
    _check(_GUEST_NAME, name)
    _check(_MAC, mac)
    if not 68 <= mtu <= 65535:
        raise ValueError('not an MTU: %r' % mtu)
    networks = [ipaddress.ip_interface(address) for address in addresses]
    paths = [_path(*route) for route in routes]
    with (_namespace(netns_path) as fd,
          _netlink('build %s' % host_name) as host):
        kept = _keep_or_remove(host, fd, host_name)
        try:
            if not kept:
                _create_veth(host, fd, host_name, name, mac, mtu)
            link = _get_link(host, host_name)
            host.link('set', index=link['index'], state='up', mtu=mtu)
            _inside(fd, _configure, link.get_attr('IFLA_LINK'), mac, mtu,
                    networks, paths, checksum_offload)
        except Exception:
            if not kept:
                _delete_if_present(host, host_name)
            raise
    return not kept


@ctxt.entrypoint
def set_master(host_name: str, bridge: str) -> None:
    """Put a host end into the Linux bridge of the hybrid plug.

    :raises: ValueError, OSError
    """
    _check(_HOST_NAME, host_name)
    _check(_HYBRID_BRIDGE, bridge)
    with _netlink('put %s into %s' % (host_name, bridge)) as host:
        host.link('set', index=_get_link(host, host_name)['index'],
                  master=_get_link(host, bridge)['index'])


@ctxt.entrypoint
def delete_interface(host_name: str) -> None:
    """Delete a host end, and its peer with it, if it is there.

    :raises: ValueError, OSError
    """
    _check(_HOST_NAME, host_name)
    with _netlink('delete %s' % host_name) as host:
        _delete_if_present(host, host_name)


@ctxt.entrypoint
def write_name_service(resolv_conf_path: str, hosts_path: str,
                       nameservers: Sequence[str],
                       search_domains: Sequence[str],
                       hosts: Mapping[str, Sequence[str]]) -> None:
    """Rewrite a container's resolv.conf and hosts.

    Containers have the files mounted, so they are rewritten in place and
    never created or replaced.

    :param hosts: names by address, beside the standard ones of localhost
    :raises: ValueError, OSError
    """
    for path in (resolv_conf_path, hosts_path):
        _check(_ENGINE_FILE, path)
    resolv_conf = ['nameserver %s\n' % ipaddress.ip_address(server)
                   for server in nameservers]
    if search_domains:
        resolv_conf.append('search %s\n' % _names(search_domains))
    lines = ['%s\t%s\n' % (ipaddress.ip_address(address), _names(names))
             for address, names in hosts.items()]
    _rewrite(resolv_conf_path, ''.join(resolv_conf))
    _rewrite(hosts_path, _STANDARD_HOSTS + ''.join(lines))


# Checks

def _check(pattern: re.Pattern, value: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError('refused: %r' % value)


def _names(names: Sequence[str]) -> str:
    for name in names:
        _check(_DOMAIN, name)
    return ' '.join(names)


def _path(destination: str, gateway: str):
    return (ipaddress.ip_network(destination),
            ipaddress.ip_address(gateway) if gateway else None)


@contextlib.contextmanager
def _namespace(path: str) -> Iterator[int]:
    """Open a network namespace, which must not be the host's."""
    _check(NETNS_PATH, path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if fcntl.ioctl(fd, _NS_GET_NSTYPE) != _CLONE_NEWNET:
            raise ValueError('not a network namespace: %s' % path)
        if os.path.samestat(os.fstat(fd), os.stat('/proc/thread-self/ns/net')):
            raise ValueError("the host's own namespace: %s" % path)
        yield fd
    finally:
        os.close(fd)


# Netlink

@contextlib.contextmanager
def _netlink(what: str) -> Iterator[pyroute2.IPRoute]:
    """A socket in the thread's namespace; errors become OSError."""
    try:
        with pyroute2.IPRoute() as ipr:
            yield ipr
    except netlink_exceptions.NetlinkError as err:
        raise OSError(err.code, 'Cannot %s: %s'
                      % (what, os.strerror(err.code))) from err


def _inside(fd: int, action: Callable, *args):
    """Run ``action(netlink, ...)`` in a namespace.

    In a thread of its own: setns(2) moves the calling thread, and one that
    ends needs no way back.
    """
    def enter():
        netns.setns(fd)
        with _netlink('configure the namespace') as inside:
            return action(inside, *args)

    with futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(enter).result()


def _find_link(ipr, name: str):
    try:
        return next(iter(ipr.link('get', ifname=name)))
    except netlink_exceptions.NetlinkError as err:
        if err.code != errno.ENODEV:
            raise
    return None


def _get_link(ipr, name: str):
    link = _find_link(ipr, name)
    if link is None:
        raise FileNotFoundError(errno.ENODEV, 'No such device: %s' % name)
    return link


def _kind(link) -> str:
    return link.get_nested('IFLA_LINKINFO', 'IFLA_INFO_KIND') or ''


def _delete_if_present(ipr, name: str) -> None:
    link = _find_link(ipr, name)
    if link is None:
        return
    try:
        ipr.link('del', index=link['index'])
    except netlink_exceptions.NetlinkError as err:
        # The kernel removes the links of a namespace that ended at a time
        # of its own choice, which may be now.
        if err.code != errno.ENODEV:
            raise


def _keep_or_remove(host, fd: int, host_name: str) -> bool:
    """Keep a veth into this namespace; remove anything else of its name."""
    link = _find_link(host, host_name)
    if link is None:
        return False
    if _kind(link) == 'veth' and _inside(
            fd, _is_peer, link.get_attr('IFLA_LINK'), link['index']):
        return True
    _delete_if_present(host, host_name)
    return False


def _is_peer(inside, index: int, host_index: int) -> bool:
    """Whether the link of this index has its other end at the host's.

    Indices are unique only within a namespace, so it takes both.
    """
    return any(link['index'] == index and _kind(link) == 'veth' and
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


# Files

def _rewrite(path: str, text: str) -> None:
    """Replace the content, keeping the inode that containers have mounted.

    The new content is there before the end is cut off, so that no reader
    finds the file empty.
    """
    content = text.encode('ascii')
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, 'wb', buffering=0) as target:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError('not a regular file: %s' % path)
        target.write(content)
        target.truncate(len(content))
