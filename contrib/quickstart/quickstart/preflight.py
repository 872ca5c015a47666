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


"""What has to be true before anything is touched."""

from collections.abc import Iterator
import ipaddress
import os
import pathlib
import shutil
import socket

from quickstart import heat
from quickstart import network
from quickstart import problem
from quickstart import services
from quickstart import settings as settings_

_SPACE_GIB = 3
_MEMORY_GIB = 4


def check(settings) -> str:
    """:raises: Problem for the first thing that is in the way."""
    _root()
    _distribution()
    _directory(settings)
    _space(settings)
    _memory()
    _tun()
    _ports(settings)
    _public_range(settings)
    _bridges(settings)
    return '%d ports free or ours' % len(settings_.PORTS)


def _root() -> None:
    if os.geteuid():
        raise problem.Problem(
            'this needs root: it starts daemons and makes network devices',
            remedy='Run it with sudo, or as root.')


def _distribution() -> None:
    if not shutil.which('apt-get'):
        raise problem.Problem(
            'there is no apt-get here',
            remedy='The quickstart is made for Debian 12.')


def _directory(settings) -> None:
    if settings_.directory_too_long(settings.directory):
        raise problem.Problem(
            '%s is too long: sockets below it would not fit' %
            settings.directory, remedy='Give a shorter --data-dir.')


def _space(settings) -> None:
    """Look at the nearest directory that exists already."""
    where = settings.directory
    while not where.exists():
        where = where.parent
    if settings.venv.exists():
        return
    free_gib = shutil.disk_usage(where).free / 2 ** 30
    if free_gib < _SPACE_GIB:
        raise problem.Problem(
            '%s has %.1f GiB free, %d are needed' % (
                where, free_gib, _SPACE_GIB),
            remedy='Make room, or give another --data-dir.')


def _memory() -> None:
    lines = pathlib.Path('/proc/meminfo').read_text().splitlines()
    total_kib = int(lines[0].split()[1])
    if total_kib < _MEMORY_GIB * 2 ** 20:
        raise problem.Problem(
            'this machine has %.1f GiB of memory, %d are needed' % (
                total_kib / 2 ** 20, _MEMORY_GIB),
            remedy='Use a machine with 8 GiB.')


def _tun() -> None:
    if not os.path.exists('/dev/net/tun'):
        raise problem.Problem(
            '/dev/net/tun is missing; bridges cannot be made without it',
            remedy='Try "modprobe tun".')


def _ports(settings) -> None:
    """A port is free, or the service that it is for holds it."""
    ours = {service.port for service in
            (services.port_mapper(settings), services.broker(settings),
             *services.openstack(settings), *heat.all_services(settings))
            if service.port and service.process.pid(settings)}
    if 'rabbitmq' in ours:
        ours.add('rabbitmq-distribution')
    if not heat.wanted(settings):
        ours.add('heat')
    for name, port in settings_.PORTS.items():
        if name not in ours and not _free(port):
            raise problem.Problem(
                'port %d, meant for %s, is taken by %s' % (
                    port, name, _holder(port)),
                remedy='End that program, or change the port in %s.' %
                settings_.__file__)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings_.LOOPBACK, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """Name and pid of the process that listens on a TCP port."""
    inodes = set()
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rsplit(':', 1)[1], 16) == port:
                inodes.add('socket:[%s]' % fields[9])
    for link in pathlib.Path('/proc').glob('[0-9]*/fd/*'):
        try:
            if os.readlink(link) in inodes:
                process = link.parents[1]
                name = (process / 'comm').read_text().strip()
                return '%s (pid %s)' % (name, process.name)
        except OSError:
            continue
    return 'a process of another network namespace or container'


def _public_range(settings) -> None:
    """Nobody else may route the floating addresses."""
    public = ipaddress.ip_network(settings_.PUBLIC_CIDR)
    for device, destination in _routes():
        if device == settings_.PUBLIC_BRIDGE or not destination.prefixlen:
            continue
        if public.overlaps(destination):
            raise problem.Problem(
                'the route to %s by %s covers the floating addresses %s' % (
                    destination, device, public),
                remedy='Change PUBLIC_CIDR and its neighbours in %s.' %
                settings_.__file__)


def _routes() -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Devices and destinations; ip(8) may not be installed yet."""
    lines = pathlib.Path('/proc/net/route').read_text().splitlines()[1:]
    for line in lines:
        fields = line.split()
        destination, mask = (
            ipaddress.ip_address(socket.ntohl(int(fields[column], 16)))
            for column in (1, 7))
        yield fields[0], ipaddress.ip_network('%s/%s' % (destination, mask))


def _bridges(settings) -> None:
    """Bridges of these names may be somebody else's."""
    if network.owns_devices(settings):
        return
    taken = {name for _, name in socket.if_nameindex()}
    for name in network.DEVICES:
        if name in taken:
            raise problem.Problem(
                'an interface %s exists and is not the quickstart\'s' % name,
                remedy='Another Open vSwitch runs here. The quickstart '
                       'cannot share this name with it: end that one first.')
