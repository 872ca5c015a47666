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


"""Plain processes that outlive ``up``: pid file, log, start and stop.

A pid file holds the pid and the start time of the process, because a pid
alone may belong to somebody else by the time it is read.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import time

from quickstart import problem
from quickstart import shell

# Every process of a cloud has it in its environment, and so have the
# helpers that it starts, which no pid file knows.
MARKER = 'NOVADOCKER_QUICKSTART'


@dataclasses.dataclass(frozen=True)
class Process:
    """A program to keep running.

    :param marked: False for a process whose children are not ours to end.
    """

    name: str
    command: tuple
    env: dict = dataclasses.field(default_factory=dict)
    marked: bool = True

    def pid(self, settings) -> int | None:
        """Its pid, None when it does not run."""
        try:
            pid, started = _pid_file(settings, self.name).read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def start(self, settings) -> bool:
        """Start it unless it runs; whether that was necessary."""
        if self.pid(settings):
            return False
        env = dict(self.env)
        if self.marked:
            env[MARKER] = str(settings.directory)
        pid_file = _pid_file(settings, self.name)
        pid_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log(settings), 'ab') as log:
            child = subprocess.Popen(
                [str(word) for word in self.command], cwd='/', stdout=log,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=shell.environment(settings, env))
        pid_file.write_text('%d %s\n' % (child.pid, start_time(child.pid)))
        return True

    def started_at(self, settings) -> float:
        """When it was started, in seconds since 1970."""
        return _pid_file(settings, self.name).stat().st_mtime

    def log(self, settings) -> pathlib.Path:
        return shell.log_path(settings, self.name)

    def check(self, settings) -> None:
        """:raises: Problem when it has ended."""
        if not self.pid(settings):
            log = self.log(settings)
            raise problem.Problem('%s ended: %s' % (
                self.name, shell.last_line(log)), log=log)


def start_time(pid: int) -> str | None:
    """When a process began, in ticks since boot; None if it is no more.

    A zombie counts as gone.
    """
    try:
        stat = pathlib.Path('/proc/%d/stat' % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rsplit(')', 1)[1].split()
    return None if fields[0] == 'Z' else fields[19]


def stop_all(settings, processes, timeout_s=20) -> None:
    """End processes and what is left of their sessions, all at once.

    Harmless to repeat.
    """
    pids = [pid for pid in (each.pid(settings) for each in processes) if pid]
    for pid in pids:
        _signal(os.kill, pid, signal.SIGTERM)
    wait_until(lambda: not any(map(start_time, pids)), timeout_s)
    for pid in pids:
        _signal(os.killpg, pid, signal.SIGKILL)
    wait_until(lambda: not any(map(start_time, pids)), 5)
    for each in processes:
        _pid_file(settings, each.name).unlink(missing_ok=True)


def memory_mib(pids) -> int:
    """Memory of processes, what they share counted once."""
    total_kib = 0
    for pid in pids:
        try:
            rollup = pathlib.Path('/proc/%d/smaps_rollup' % pid).read_text()
        except OSError:
            continue
        total_kib += next((int(line.split()[1])
                           for line in rollup.splitlines()
                           if line.startswith('Pss:')), 0)
    return total_kib // 1024


def session(pid: int) -> list[int]:
    """The processes that a service consists of."""
    found = []
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            if os.getsid(int(entry.name)) == pid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def stragglers(settings) -> list[int]:
    """Processes of this cloud, found by the mark in their environment.

    A program that sets its title loses the mark; those have pid files.
    """
    mark = ('%s=%s' % (MARKER, settings.directory)).encode()
    found = []
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            if mark in (entry / 'environ').read_bytes().split(b'\0'):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if start_time(pid)]


def end(pids) -> None:
    """Terminate processes, then kill those that stay."""
    for sig, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        for pid in pids:
            _signal(os.kill, pid, sig)
        wait_until(lambda: not any(map(start_time, pids)), patience_s)


def wait_until(condition, timeout_s, interval_s=0.1) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval_s)
    return True


def _signal(send, pid, sig) -> None:
    try:
        send(pid, sig)
    except ProcessLookupError:
        pass


def _pid_file(settings, name) -> pathlib.Path:
    return settings.run / 'pid' / (name + '.pid')
