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


"""docker.filters, judged by rootwrap's own code."""

import os

from oslo_rootwrap import wrapper

from novadocker.virt.docker import names
from tests import base

_DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), 'etc', 'nova', 'rootwrap.d')
_EXEC_DIRS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
_UUID = '9c7a4f62-3a64-4d1c-9e0b-6a3a6ff0d5c1'
_LINK = names.netns_link(_UUID)


class FiltersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.filters = wrapper.load_filters([_DIRECTORY])

    def allowed(self, *command):
        try:
            return wrapper.match_filter(self.filters, list(command),
                                        exec_dirs=_EXEC_DIRS)
        except wrapper.NoFilterMatched:
            return None

    def test_what_the_driver_runs(self):
        for command in (
                ('mkdir', '-p', names.NETNS_DIRECTORY),
                ('ln', '-sfn', '/var/run/docker/netns/0123456789ab', _LINK),
                ('ln', '-sfn', '/run/docker/netns/0123456789ab', _LINK),
                ('ln', '-sfn', '/run/docker-nova/netns/0123456789ab', _LINK),
                ('ln', '-sfn', '/proc/1/ns/net', _LINK),
                ('ln', '-sfn', '/proc/4194304/ns/net', _LINK),
                ('rm', '-f', _LINK)):
            self.assertIsNotNone(self.allowed(*command), command)

    def test_command_is_passed_on_as_it_is(self):
        command = ('ln', '-sfn', '/proc/42/ns/net', _LINK)
        self.assertEqual(
            list(command[1:]),
            self.allowed(*command).get_command(list(command),
                                               exec_dirs=_EXEC_DIRS)[1:])

    def test_attacks(self):
        netns = '/var/run/docker/netns/0123456789ab'
        for command in (
                ('mkdir', '-p', '/etc/cron.d'),
                ('mkdir', '-p', '/var/run/netns', '/etc/x'),
                ('mkdir', '-p', '/var/run/netns/x'),
                ('mkdir', '-p', '/var/run/netns\n'),
                ('mkdir', '/var/run/netns'),
                ('ln', '-sfn', '/etc/shadow', _LINK),
                ('ln', '-sfn', netns, '/etc/shadow'),
                ('ln', '-sf', netns, _LINK),
                ('ln', '-fn', netns, _LINK),
                ('ln', '-sfn', netns, _LINK, '/etc'),
                ('ln', '-sfn', netns + '\n', _LINK),
                ('ln', '-sfn', netns, _LINK + '\n'),
                ('ln', '-sfn', netns, _LINK + '/../../../etc/x'),
                ('ln', '-sfn', netns, _LINK + 'a'),
                ('ln', '-sfn', netns, '/var/run/netns/' + _UUID),
                ('ln', '-sfn', netns, _LINK.upper()),
                ('ln', '-sfn', '/var/run/../etc/netns/0123456789ab', _LINK),
                ('ln', '-sfn', '/var/run/a/b/netns/0123456789ab', _LINK),
                ('ln', '-sfn', '/tmp/x/netns/0123456789ab', _LINK),
                ('ln', '-sfn', netns + '/../../../../etc', _LINK),
                ('ln', '-sfn', '/var/run/docker/netns/default', _LINK),
                ('ln', '-sfn', '/proc/self/ns/net', _LINK),
                ('ln', '-sfn', '/proc/0/ns/net', _LINK),
                ('ln', '-sfn', '/proc/1/ns/mnt', _LINK),
                ('ln', '-sfn', '/proc/1/root/ns/net', _LINK),
                ('rm', '-rf', _LINK),
                ('rm', '-f', '/etc/passwd'),
                ('rm', '-f', _LINK, '/etc/passwd'),
                ('rm', '-f', _LINK + '\n'),
                ('rm', '-f', '/var/run/netns/nova-*'),
                ('rm', '-f', '/var/run/netns'),
                ('/tmp/ln', '-sfn', netns, _LINK),
                ('sh', '-c', 'ln -sfn %s %s' % (netns, _LINK)),
                ('ip', 'netns', 'exec', 'nova-' + _UUID, 'sh')):
            found = self.allowed(*command)
            if found and command[0].startswith('/'):
                # rootwrap takes the program from its own directories.
                found = not found.get_command(
                    list(command), exec_dirs=_EXEC_DIRS)[0].startswith(
                        tuple(_EXEC_DIRS))
            self.assertFalse(found, command)

    def test_three_filters_and_privsep(self):
        """A comma in a pattern would cut it in two, without a message."""
        self.assertEqual(
            [('mkdir', 3), ('ln', 4), ('rm', 3), ('privsep-helper', 0)],
            [(found.exec_path, len(found.args)) for found in self.filters])
