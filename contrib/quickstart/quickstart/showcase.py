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


"""Show the first server and say what to try next."""

import subprocess

from quickstart import heat
from quickstart import names
from quickstart import problem
from quickstart import processes
from quickstart import settings as settings_
from quickstart import shell

_PATIENCE_S = 60


def reach(settings, address) -> None:
    """Ping a server and log in to it.

    :raises: Problem.
    """
    ping(settings, address)
    _wait_for(settings, address, (*ssh(settings, address), 'true'))


def ping(settings, address) -> None:
    """:raises: Problem."""
    _wait_for(settings, address, ('ping', '-c', 1, '-W', 2, address))


def _wait_for(settings, address, command) -> None:
    if not processes.wait_until(lambda: _succeeds(settings, command),
                                _PATIENCE_S, 0.5):
        raise problem.Problem(
            '%s to %s fails; try: %s' % (
                command[0], address, ' '.join(map(str, command))),
            log=shell.log_path(settings, 'nova-compute'))


def ssh(settings, address) -> tuple:
    """The command line that logs in; it touches no file of the user's."""
    return ('ssh', '-i', settings.keypair, '-o', 'BatchMode=yes',
            '-o', 'ConnectTimeout=5', '-o', 'StrictHostKeyChecking=no',
            '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR',
            '-F', 'none', 'root@' + address)


def _succeeds(settings, command) -> bool:
    return not subprocess.run(
        [str(word) for word in command], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        env=shell.environment(settings)).returncode


def show(settings) -> None:
    """Print the first server, and the first stack, as their user sees them."""
    commands = [('server', 'show', names.SERVER),
                ('console', 'log', 'show', names.SERVER)]
    if heat.wanted(settings):
        commands.append(('stack', 'output', 'show', '--all', names.STACK))
    for words in commands:
        print('$ openstack %s' % ' '.join(words))
        print(shell.output(settings, (settings.tool('openstack'), *words), {
            'OS_CLIENT_CONFIG_FILE': str(settings.clouds),
            'OS_CLOUD': 'quickstart'}))
    stacks = _NEXT_STACKS if heat.wanted(settings) else ''
    print((_NEXT + stacks + _NEXT_COMMANDS) % {
        'openrc': settings.openrc, 'key': settings.keypair,
        'image': names.IMAGE, 'flavor': names.FLAVOR,
        'network': names.NETWORK, 'group': names.GROUP,
        'keypair': names.KEYPAIR, 'public': names.PUBLIC,
        'here': settings_.QUICKSTART, 'stack': names.STACK,
        'examples': heat.EXAMPLES, 'tag': settings_.IMAGE_TAG})


_NEXT = """\
What to try next:

  . %(openrc)s
  openstack server create --image %(image)s --flavor %(flavor)s \\
      --network %(network)s --security-group %(group)s \\
      --key-name %(keypair)s --wait second
  openstack floating ip create %(public)s
  openstack server add floating ip second ADDRESS
  ssh -i %(key)s root@ADDRESS
  openstack console log show second
  docker ps
"""
_NEXT_STACKS = """\
  openstack stack resource list %(stack)s
  openstack stack create --wait --parameter image=%(tag)s \\
      --template %(examples)s/web-and-database.yaml miniature
  openstack stack output show --all miniature
"""
_NEXT_COMMANDS = """\
  %(here)s/status
  %(here)s/tempest
  %(here)s/down
"""
