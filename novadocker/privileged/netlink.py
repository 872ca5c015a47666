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

import pyroute2
from pyroute2.netlink import exceptions as netlink_exceptions


@contextlib.contextmanager
def connected(what: str) -> Iterator[pyroute2.IPRoute]:
    """A socket in the thread's namespace; errors become OSError."""
    try:
        with pyroute2.IPRoute() as ipr:
            yield ipr
    except netlink_exceptions.NetlinkError as err:
        raise OSError(err.code, 'Cannot %s: %s'
                      % (what, os.strerror(err.code))) from err


def find_link(ipr, name: str):
    try:
        return next(iter(ipr.link('get', ifname=name)))
    except netlink_exceptions.NetlinkError as err:
        if err.code != errno.ENODEV:
            raise
    return None


def get_link(ipr, name: str):
    link = find_link(ipr, name)
    if link is None:
        raise FileNotFoundError(errno.ENODEV, 'No such device: %s' % name)
    return link


def kind(link) -> str:
    return link.get_nested('IFLA_LINKINFO', 'IFLA_INFO_KIND') or ''


def delete_if_present(ipr, name: str) -> None:
    link = find_link(ipr, name)
    if link is None:
        return
    try:
        ipr.link('del', index=link['index'])
    except netlink_exceptions.NetlinkError as err:
        # The kernel removes the links of a namespace that ended at a time
        # of its own choice, which may be now.
        if err.code != errno.ENODEV:
            raise
