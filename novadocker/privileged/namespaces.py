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

"""Network namespaces of containers: opened, checked, entered."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import fcntl
import os
from typing import Concatenate
from typing import ParamSpec
from typing import TypeVar

from pyroute2 import netns

from novadocker import privileged
from novadocker.privileged import checks
from novadocker.privileged import netlink

_Arguments = ParamSpec('_Arguments')
_Result = TypeVar('_Result')

_NS_GET_NSTYPE = 0xb703            # linux/nsfs.h
_CLONE_NEWNET = 0x40000000         # linux/sched.h


@privileged.ctxt.entrypoint
def first_namespace(paths: Sequence[str]) -> str:
    """The first of these paths at which there is a network namespace.

    An engine's own handle is a mount, which a process with mounts of its
    own may see as an empty file.

    :raises: ValueError; OSError of the last path if there is none
    """
    *others, last = paths
    for path in others:
        try:
            with opened(path):
                return path
        except OSError:
            continue
    with opened(last):
        return last


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a network namespace, which must not be the host's."""
    checks.check(checks.NETNS_PATH, path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if fcntl.ioctl(fd, _NS_GET_NSTYPE) != _CLONE_NEWNET:
            raise ValueError('not a network namespace: %s' % path)
        if os.path.samestat(os.fstat(fd), os.stat('/proc/thread-self/ns/net')):
            raise ValueError("the host's own namespace: %s" % path)
        yield fd
    finally:
        os.close(fd)


def inside(fd: int,
           action: Callable[Concatenate[netlink.Socket, _Arguments], _Result],
           *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
    """Run ``action(netlink, ...)`` in a namespace.

    In a thread of its own: setns(2) moves the calling thread, and one that
    ends needs no way back.
    """
    def enter() -> _Result:
        netns.setns(fd)
        with netlink.connected('configure the namespace') as ipr:
            return action(ipr, *args, **kwargs)

    with futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(enter).result()
