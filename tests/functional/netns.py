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


"""A network namespace of the tests' own, so that the machine's is left alone.

The calling thread moves into it, and with it the processes and threads that
it starts from then on.
"""

import ctypes
import os

import fixtures
from pyroute2 import netns
from vif_plug_ovs import privsep as vif_plug_privsep

import novadocker.privileged

_CLONE_NEWNET = 0x40000000


class OwnNetwork(fixtures.Fixture):
    """To be set up and cleaned up by the main thread."""

    def _setUp(self):
        home = os.open('/proc/self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        self.addCleanup(os.close, home)
        libc = ctypes.CDLL(None, use_errno=True)
        # Given, as pyroute2 would ask os.uname for it, which Nova's base
        # class forbids.
        self.addCleanup(netns.setns, home, libc=libc)
        if libc.unshare(_CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._stop_daemons()
        self.addCleanup(self._stop_daemons)

    @staticmethod
    def _stop_daemons():
        """Those of another namespace would change that one."""
        for context in (novadocker.privileged.ctxt, vif_plug_privsep.vif_plug):
            context.stop()
