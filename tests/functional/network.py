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

"""The real kernel, os-vif and Open vSwitch below a driver under test."""

import os
import socket

import fixtures

from tests.functional import ovs


class RealNetwork(fixtures.Fixture):
    """To be used after Nova's own ``setUp``.

    :param flags: the test's method that changes options
    """

    def __init__(self, flags):
        super().__init__()
        self._flags = flags

    def _setUp(self):
        self._switch = self.useFixture(ovs.PrivateHost()).switch
        self._flags(ovs_bridge=self._switch.bridge, group='neutron')

    def state(self, server_ids, port_ids) -> dict:
        """What is left of these servers and ports on the host."""
        devices = {'tap%s' % port[:11] for port in port_ids}
        links = {'nova-%s' % server for server in server_ids}
        return {
            'ports': [port for port in self._switch.ports()
                      if port in devices],
            'devices': sorted(devices & _devices()),
            'namespaces': sorted(links & _listing('/var/run/netns')),
        }


def _devices() -> set[str]:
    return {name for _index, name in socket.if_nameindex()}


def _listing(directory: str) -> set[str]:
    return set(os.listdir(directory)) if os.path.isdir(directory) else set()
