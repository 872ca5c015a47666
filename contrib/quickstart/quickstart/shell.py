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


"""Run a command to its end, its output kept in a log."""

import os
import subprocess
import time

from quickstart import problem


def environment(settings, extra=None) -> dict[str, str]:
    """What the cloud's programs see; nothing of the user's own OS_* etc."""
    env = {
        'PATH': '%s/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:'
                '/sbin:/bin' % settings.venv,
        'HOME': str(settings.state / 'home'),
        'LANG': 'C.UTF-8',
        'OVS_RUNDIR': str(settings.ovs),
        'OVN_RUNDIR': str(settings.ovs),
        'PYTHONWARNINGS': 'ignore',
    }
    env.update(extra or {})
    return env


def run(settings, command, log, env=None, stdin=None, timeout=900) -> None:
    """Run a command, its output appended to log/<log>.log.

    :raises: Problem with the command and its last line.
    """
    path = log_path(settings, log)
    with open(path, 'ab') as output:
        _heading(output, command)
        try:
            code = subprocess.run(
                [str(word) for word in command], stdout=output,
                stderr=subprocess.STDOUT, timeout=timeout, stdin=stdin,
                env=environment(settings, env)).returncode
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise problem.Problem(str(exc), log=path)
    if code:
        raise problem.Problem('%s failed (exit %d): %s' % (
            os.path.basename(str(command[0])), code, last_line(path)),
            log=path)


def output(settings, command, env=None, check=True) -> str:
    """What a quick command prints; '' when it fails and check is off."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True,
        timeout=60, env=environment(settings, env))
    if done.returncode and check:
        raise problem.Problem('%s failed: %s' % (
            command[0], done.stderr.strip()[-400:]))
    return '' if done.returncode else done.stdout


def log_path(settings, name):
    settings.log.mkdir(parents=True, exist_ok=True)
    return settings.log / (name + '.log')


def last_line(path) -> str:
    """The last line of a log that says something."""
    with open(path, 'rb') as log:
        log.seek(max(0, os.path.getsize(path) - 4096))
        lines = log.read().decode(errors='replace').split('\n')
    return next((line.strip() for line in reversed(lines) if line.strip()),
                'no output')


def _heading(output, command) -> None:
    line = '\n%s $ %s\n' % (time.strftime('%F %T'),
                            ' '.join(str(word) for word in command))
    output.write(line.encode())
    output.flush()
