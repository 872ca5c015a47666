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
    for what, command in (
            ('ping', ('ping', '-c', 1, '-W', 2, address)),
            ('ssh', (*ssh(settings, address), 'true'))):
        if not processes.wait_until(lambda: _succeeds(settings, command),
                                    _PATIENCE_S, 0.5):
            raise problem.Problem(
                '%s to %s fails; try: %s' % (
                    what, address, ' '.join(map(str, command))),
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
    """Print the first server as its user sees it."""
    for words in (('server', 'show', names.SERVER),
                  ('console', 'log', 'show', names.SERVER)):
        print('$ openstack %s' % ' '.join(words))
        print(shell.output(settings, (settings.tool('openstack'), *words), {
            'OS_CLIENT_CONFIG_FILE': str(settings.clouds),
            'OS_CLOUD': 'quickstart'}))
    print(_NEXT % {'openrc': settings.openrc, 'key': settings.keypair,
                   'image': names.IMAGE, 'flavor': names.FLAVOR,
                   'network': names.NETWORK, 'group': names.GROUP,
                   'keypair': names.KEYPAIR, 'public': names.PUBLIC,
                   'here': settings_.QUICKSTART})


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
  %(here)s/status
  %(here)s/tempest
  %(here)s/down
"""
