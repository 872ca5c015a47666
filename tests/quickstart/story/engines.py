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


"""The engine ends and begins again under running servers."""

import os
import pathlib
import signal

from quickstart import engine
from quickstart import processes
from story import checks
from story import world

_PID_FILE = pathlib.Path('/var/run/docker.pid')
_LIVE_RESTORE = '--live-restore'
_SERVERS = ('one', 'two')


def may_restart(settings, asked) -> bool:
    """Whether the engine is the quickstart's own, or the user said so."""
    return asked or engine.service(settings).process.pid(settings) is not None


def restart_with_live_restore(here):
    """An engine restart with live-restore leaves servers running."""
    if not engine.get('/info')['LiveRestoreEnabled']:
        _restart(here, live_restore=True)
        _recover(here)
    before = {name: here.container(name)['State'] for name in _SERVERS}
    _restart(here, live_restore=True)
    for name in _SERVERS:
        assert here.container(name)['State']['Pid'] == before[name]['Pid']
        here.wait(name, 'ACTIVE')
    here.wait_reachable('one')
    _use(here)


def restart_without_live_restore(here):
    """After one without, the API says SHUTOFF and start recovers."""
    _restart(here, live_restore=False)
    _recover(here)


def _recover(here):
    """What the API says is true, and the user can start again."""
    for name in _SERVERS:
        assert not here.container(name)['State']['Running']
        here.wait(name, 'SHUTOFF', timeout_s=180)
    for name in _SERVERS:
        here.demo.compute.start_server(here.servers[name].id)
    for name in _SERVERS:
        here.wait(name, 'ACTIVE')
    here.wait_reachable('one')
    checks.fixed_ip(here)


def _use(here):
    """The events of the new engine reach nova-compute."""
    here.demo.compute.stop_server(here.servers['two'].id)
    here.wait('two', 'SHUTOFF')
    here.demo.compute.start_server(here.servers['two'].id)
    here.wait('two', 'ACTIVE')


def _restart(here, live_restore) -> None:
    """End dockerd and start it as before, but for one option."""
    own = engine.service(here.settings).process
    ours = own.pid(here.settings)
    pid = ours or int(_PID_FILE.read_text())
    command = pathlib.Path('/proc/%d/cmdline' % pid).read_text().split('\0')
    words = [word for word in command if word and word != _LIVE_RESTORE]
    os.kill(pid, signal.SIGTERM)
    world.wait_for(lambda: not processes.start_time(pid), 'end of dockerd')
    processes.Process('dockerd', (
        *words, *([_LIVE_RESTORE] if live_restore else [])),
        marked=False).start(here.settings)
    if not ours:
        (here.settings.run / 'pid' / 'dockerd.pid').unlink()
    world.wait_for(engine.answers, 'answer of dockerd', 60)


ALL = (restart_with_live_restore, restart_without_live_restore)
