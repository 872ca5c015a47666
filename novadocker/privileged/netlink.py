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

"""What pyroute2 is asked for, in a thread's own network namespace."""

from collections.abc import Iterator
import contextlib
import errno
import os
from typing import Any

import pyroute2
from pyroute2.netlink import exceptions as netlink_exceptions

# pyroute2 carries no types.
Socket = Any
Link = Any

# What the kernel says of a link, an address and a route that is not there.
_GONE = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH)


@contextlib.contextmanager
def connected(what: str) -> Iterator[Socket]:
    """A socket in the thread's namespace; errors become OSError."""
    try:
        with pyroute2.IPRoute() as ipr:
            yield ipr
    except netlink_exceptions.NetlinkError as err:
        raise OSError(err.code, 'Cannot %s: %s'
                      % (what, os.strerror(err.code))) from err


@contextlib.contextmanager
def gone_is_fine() -> Iterator[None]:
    """For a deletion: others may delete too, in the kernel or inside."""
    try:
        yield
    except netlink_exceptions.NetlinkError as err:
        if err.code not in _GONE:
            raise


def find_link(ipr: Socket, **name_or_index: str | int) -> Link | None:
    """:param name_or_index: ``ifname`` or ``index``"""
    found: list[Link] = []
    with gone_is_fine():
        found.extend(ipr.link('get', **name_or_index))
    return found[0] if found else None


def get_link(ipr: Socket, name: str) -> Link:
    return _existing(find_link(ipr, ifname=name), name)


def link_of_index(ipr: Socket, index: int) -> Link:
    return _existing(find_link(ipr, index=index), 'index %d' % index)


def kind(link: Link) -> str:
    return link.get_nested('IFLA_LINKINFO', 'IFLA_INFO_KIND') or ''


def delete_if_present(ipr: Socket, name: str) -> None:
    link = find_link(ipr, ifname=name)
    if link is not None:
        # The kernel removes the links of a namespace that ended at a time
        # of its own choice, which may be now.
        with gone_is_fine():
            ipr.link('del', index=link['index'])


def _existing(link: Link | None, what: str) -> Link:
    if link is None:
        raise FileNotFoundError(errno.ENODEV, 'No such device: %s' % what)
    return link
