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


"""The border of trust: what privileged code refuses before it acts."""

import os
from unittest import mock

import fixtures
from oslo_concurrency import processutils

from novadocker import privileged
from novadocker.privileged import checks
from novadocker.privileged import files
from novadocker.privileged import interfaces
from novadocker.privileged import netlink
from novadocker.privileged import netns_links
from tests import base

UUID = '9c7a4f62-3a64-4d1c-9e0b-6a3a6ff0d5c1'
LINK = '/var/run/netns/nova-' + UUID
NETNS = '/var/run/docker/netns/0123456789ab'
TAP = 'tapa0000001-00'
MAC = 'fa:16:3e:00:00:01'


class _Privileged(base.TestCase):
    """Privileged functions run here, where no root is to be had."""

    def setUp(self):
        super().setUp()
        privileged.ctxt.set_client_mode(False)
        self.addCleanup(privileged.ctxt.set_client_mode, True)


class RefusalTest(_Privileged):
    def setUp(self):
        super().setUp()
        for target in ('pyroute2.IPRoute', 'os.open'):
            self.useFixture(fixtures.MockPatch(
                target, side_effect=AssertionError('went too far')))

    def refuses(self, function, *arguments):
        self.assertRaises(ValueError, function, *arguments)

    def build(self, **wrong):
        arguments = {
            'netns_path': NETNS, 'host_name': TAP, 'name': 'eth0',
            'mac': MAC, 'mtu': 1500, 'addresses': ['10.0.0.5/24'],
            'routes': [('0.0.0.0/0', '10.0.0.1')], 'checksum_offload': True}
        return interfaces.build_interface(**{**arguments, **wrong})

    def test_interface(self):
        for wrong in ({'netns_path': '/etc/passwd'},
                      {'netns_path': '/var/run/docker/netns/../../x'},
                      {'netns_path': '/proc/self/ns/net'},
                      {'netns_path': NETNS + '\n'},
                      {'host_name': 'eth0'}, {'host_name': TAP + '\n'},
                      {'host_name': None}, {'name': 'lo'},
                      {'mac': MAC + '0'}, {'mac': 'FA:16:3E:00:00:01'},
                      {'mtu': 0}, {'mtu': 65536},
                      {'addresses': ['10.0.0.5/33']},
                      {'addresses': ['web']},
                      {'routes': [('10.0.0.5/24', '10.0.0.1')]},
                      {'routes': [('0.0.0.0/0', 'dev eth1')]}):
            with mock.patch.object(netlink, 'connected'):
                self.refuses(lambda: self.build(**wrong))

    def test_what_is_to_remain(self):
        arguments = {
            'netns_path': NETNS, 'host_name': TAP,
            'addresses': ['10.0.0.5/24'],
            'routes': [('0.0.0.0/0', '10.0.0.1')]}
        for wrong in ({'netns_path': '/proc/self/ns/net'},
                      {'host_name': 'eth0'}, {'host_name': TAP + '\n'},
                      {'addresses': ['web']},
                      {'routes': [('10.0.0.5/24', '10.0.0.1')]},
                      {'routes': [('0.0.0.0/0', 'dev eth1')]}):
            with mock.patch.object(netlink, 'connected'):
                self.refuses(lambda: interfaces.prune_interface(
                    **{**arguments, **wrong}))

    def test_namespaces(self):
        for path in ('/etc/passwd', '/proc/self/ns/net', NETNS + '\n'):
            self.refuses(interfaces.list_interfaces, path)

    def test_other_devices(self):
        for name in ('eth0', 'docker0', 'lo', TAP + '0', '', '../' + TAP):
            self.refuses(interfaces.delete_interface, name)
            self.refuses(interfaces.set_master, name, 'qbra0000001-00')
            self.refuses(interfaces.set_master, TAP, name)

    def test_device_names(self):
        for name in ('', 'a' * 16, 'a/b', 'a b', None):
            self.refuses(interfaces.link_kind, name)

    def test_links(self):
        for link in ('/var/run/netns/' + UUID, LINK + '/x', LINK + '\n',
                     '/var/run/netns/../nova-' + UUID):
            self.refuses(netns_links.link_namespace, NETNS, link, '')
            self.refuses(netns_links.unlink_namespace, link, '')
        self.refuses(netns_links.link_namespace, '/etc', LINK, '')

    def test_files(self):
        container = '/var/lib/docker/containers/%s/' % ('a' * 64)
        good = container + 'hosts'
        for path in ('/etc/hosts', container + 'hostname', good + '\n',
                     '/var/../etc/containers/%s/hosts' % ('a' * 64),
                     '/var/lib/docker/containers/short/hosts'):
            self.refuses(files.write_name_service, path, good, [], [],
                         {})
            self.refuses(files.write_name_service, good, path, [], [],
                         {})

    def test_contents(self):
        container = '/var/lib/docker/containers/%s/' % ('a' * 64)
        for servers, domains, hosts in (
                (['10.0.0.1\nsearch x'], [], {}), (['web'], [], {}),
                ([], ['a b'], {}), ([], ['x\noptions debug'], {}),
                ([], [], {'10.0.0.1': ['a\n10.0.0.2 b']}),
                ([], [], {'localhost': ['a']})):
            self.refuses(files.write_name_service,
                         container + 'resolv.conf', container + 'hosts',
                         servers, domains, hosts)


class FilesTest(_Privileged):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'containers', 'a' * 64)
        os.makedirs(self.directory)
        for name in ('resolv.conf', 'hosts'):
            with open(self.path(name), 'w') as target:
                target.write('nameserver 192.0.2.1\n' * 50)

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as source:
            return source.read()

    def write(self, servers=(), domains=(), hosts=None):
        files.write_name_service(
            self.path('resolv.conf'), self.path('hosts'), servers, domains,
            hosts or {})

    def test_content(self):
        self.write(['10.0.0.2', '2001:db8::2'], ['example.org'],
                   {'10.0.0.5': ['web.example.org', 'web'],
                    '10.0.0.6': ['gr\u00fc\u00df']})
        self.assertEqual('nameserver 10.0.0.2\nnameserver 2001:db8::2\n'
                         'search example.org\n', self.read('resolv.conf'))
        lines = self.read('hosts').splitlines()
        self.assertEqual(['127.0.0.1\tlocalhost',
                          '10.0.0.5\tweb.example.org web',
                          '10.0.0.6\tgr\u00fc\u00df'],
                         [lines[0], *lines[-2:]])

    def test_nothing_is_left_of_a_longer_file(self):
        self.write()
        self.assertEqual('', self.read('resolv.conf'))

    def test_what_is_written_already_is_left_alone(self):
        self.write(['10.0.0.2'])
        for name in ('resolv.conf', 'hosts'):
            os.utime(self.path(name), (1, 1))
        self.write(['10.0.0.2'])
        self.assertEqual(1, os.stat(self.path('hosts')).st_mtime)
        self.assertEqual(1, os.stat(self.path('resolv.conf')).st_mtime)
        self.write(['10.0.0.3'])
        self.assertEqual('nameserver 10.0.0.3\n', self.read('resolv.conf'))

    def test_file_is_neither_made_nor_followed(self):
        os.unlink(self.path('hosts'))
        self.assertRaises(FileNotFoundError, self.write)
        os.symlink('/nonexistent/target', self.path('hosts'))
        self.assertRaises(OSError, self.write)

    def test_only_regular_files(self):
        os.unlink(self.path('hosts'))
        os.symlink(os.devnull, self.path('hosts'))
        self.assertRaises(OSError, self.write)


class NamespaceTest(_Privileged):
    def test_the_hosts_own_is_refused(self):
        path = '/proc/%d/ns/net' % os.getpid()
        with mock.patch.object(netlink, 'connected'):
            self.assertRaisesRegex(
                ValueError, "the host's own", interfaces.build_interface,
                path, TAP, 'eth0', MAC, 1500, [], [], True)

    def test_errors_are_all_told_to_callers(self):
        """So that nothing else has to be imported to catch them."""
        for error in (OSError, ValueError,
                      processutils.ProcessExecutionError):
            self.assertIn(error, privileged.ERRORS)


class LinkTest(_Privileged):
    """The commands, in a directory that stands in for /var/run/netns."""

    def setUp(self):
        super().setUp()
        self.directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'netns')
        self.link = os.path.join(self.directory, 'nova-' + UUID)
        self.commands = []
        for module, target, replacement in (
                (checks, 'check', lambda pattern, value: None),
                (netns_links, '_as_root', self._execute)):
            self.useFixture(fixtures.MockPatchObject(
                module, target, replacement))

    def _execute(self, root_helper, *command):
        self.commands.append((root_helper, command[0]))
        processutils.execute(*command)

    def test_link_is_made_with_its_directory(self):
        netns_links.link_namespace(NETNS, self.link, 'helper')
        self.assertEqual(NETNS, os.readlink(self.link))
        self.assertEqual([('helper', 'mkdir'), ('helper', 'ln')],
                         self.commands)

    def test_link_is_left_alone_or_replaced(self):
        netns_links.link_namespace(NETNS, self.link, '')
        del self.commands[:]
        netns_links.link_namespace(NETNS, self.link, '')
        self.assertEqual([], self.commands)
        netns_links.link_namespace('/proc/42/ns/net', self.link, '')
        self.assertEqual('/proc/42/ns/net', os.readlink(self.link))

    def test_link_is_removed_once(self):
        netns_links.link_namespace(NETNS, self.link, '')
        netns_links.unlink_namespace(self.link, '')
        self.assertFalse(os.path.lexists(self.link))
        del self.commands[:]
        netns_links.unlink_namespace(self.link, '')
        self.assertEqual([], self.commands)

    def test_root_helper_reaches_the_command(self):
        with mock.patch.object(processutils, 'execute') as execute:
            self._patched_as_root('helper', 'ln')
        execute.assert_called_once_with('ln', run_as_root=True,
                                        root_helper='helper')

    _patched_as_root = staticmethod(netns_links._as_root)
