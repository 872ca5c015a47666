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


"""nova-compute ends and begins again while servers run."""

import os
import signal

from quickstart import names
from quickstart import processes
from quickstart import services
from story import world

_ALIVE = ('one', 'two', 'three')


def restart_nova_compute(here):
    """Restarting nova-compute loses nothing."""
    process = _nova_compute(here)
    _through(here, lambda: processes.stop_all(here.settings, [process], 60))


def kill_nova_compute(here):
    """Killing nova-compute loses nothing."""
    process = _nova_compute(here)
    pid = process.pid(here.settings)

    def kill():
        os.kill(pid, signal.SIGKILL)
        world.wait_for(lambda: not process.pid(here.settings), 'end', 10)
    _through(here, kill)


def _nova_compute(here):
    return next(service.process for service in
                services.openstack(here.settings)
                if service.name == 'nova-compute')


def _through(here, end):
    """Servers run on meanwhile, and can be used afterwards."""
    before = {name: here.container(name)['State'] for name in _ALIVE}
    end()
    assert here.reachable('one'), 'no ssh while nova-compute is down'
    _nova_compute(here).start(here.settings)
    # Answered by a nova-compute that has looked after its servers; until
    # then it clears tasks, as they may be from before.
    here.demo.compute.get_server_console_output(here.servers['two'].id)
    here.demo.compute.reboot_server(here.servers['three'].id, 'HARD')
    world.wait_for(lambda: here.container('three')['State']['StartedAt'] !=
                   before['three']['StartedAt'], 'reboot afterwards')
    here.wait('three', 'ACTIVE')
    for name in ('one', 'two'):
        assert here.server(name).status == 'ACTIVE'
        now = here.container(name)['State']
        assert now['StartedAt'] == before[name]['StartedAt'], name
        assert now['Pid'] == before[name]['Pid'], name
    here.wait_reachable('one')


def up_after_a_kill(here):
    """After nova-compute was killed, "up" boots a server at once.

    The cloud has another first server then.
    """
    process = _nova_compute(here)
    first = here.demo.compute.find_server(names.SERVER)
    here.demo.compute.delete_server(first)
    here.demo.compute.wait_for_delete(first, interval=0.5,
                                      wait=world.PATIENCE_S)
    os.kill(process.pid(here.settings), signal.SIGKILL)
    world.wait_for(lambda: not process.pid(here.settings), 'end', 10)
    world.run_quickstart(here.settings, 'up', '--dev')
    server = here.demo.compute.find_server(names.SERVER)
    server = here.demo.compute.get_server(server.id)
    assert server.status == 'ACTIVE', server.status


ALL = (restart_nova_compute, kill_nova_compute)
