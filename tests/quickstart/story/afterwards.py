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


"""Deleting everything, and what must not be left then."""

import os
import socket

from quickstart import bridge
from quickstart import engine
from quickstart import settings as settings_
from quickstart import stack as stack_
from story import world


def delete_everything(here):
    """All stacks, servers, addresses, groups of the checks can be deleted."""
    for stack in here.stacks.values():
        stack_.delete(here.demo, stack)
    for server in here.servers.values():
        here.demo.compute.delete_server(server.id)
    for server in here.servers.values():
        here.demo.compute.wait_for_delete(server, interval=0.5,
                                          wait=world.PATIENCE_S)
    for address in here.addresses.values():
        here.demo.network.delete_ip(address.id)
    for group in here.groups:
        here.demo.network.delete_security_group(group.id)


def nothing_is_left(here, before):
    """Nothing is left in engine, kernel, switch, Neutron, Placement."""
    def left():
        now = here.leftovers()
        return {kind: extra for kind in now
                if (extra := now[kind] - before[kind])}
    try:
        world.wait_for(lambda: not left(), 'clean host', 30)
    except AssertionError:
        raise AssertionError('left over: %s' % left())


def down_leaves_nothing(here):
    """"down" leaves no process, container, device, namespace or file."""
    directory = here.settings.directory
    bridges = {settings_.PUBLIC_BRIDGE, 'ovs-netdev',
               settings_.INTEGRATION_BRIDGE}
    if bridge.is_ours(here.settings):
        bridges.add(bridge.NAME)
    world.run_quickstart(here.settings, 'down')
    assert not directory.exists()
    assert not world.processes_with(directory), \
        world.processes_with(directory)
    devices = {name for _, name in socket.if_nameindex()}
    assert not devices & bridges, devices
    assert not [name for name in os.listdir('/var/run/netns')
                if name.startswith('ovnmeta-')]
    if engine.answers():
        assert not engine.containers(here.settings)
