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


"""The link for ip(8), made by the real nova-rootwrap under our filters."""

import os
import shutil
import subprocess
import sys
import uuid

import fixtures
from oslo_concurrency import processutils

from novadocker.privileged import netns_links
from novadocker.virt.docker import names
from tests import base
from tests.functional import waiting

_FILTERS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), 'etc', 'nova', 'rootwrap.d')
_CONFIGURATION = """
[DEFAULT]
filters_path=%s
exec_dirs=/usr/sbin,/usr/bin,/sbin,/bin
"""


class NetnsLinkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.link = names.netns_link(str(uuid.uuid4()))
        self.addCleanup(netns_links.unlink_namespace, self.link, '')
        self.root_helper = self._root_helper()
        # processutils leaves the helper out for a process that is root.
        self.useFixture(fixtures.MockPatch('os.geteuid', return_value=1000))

    def _root_helper(self):
        rootwrap = shutil.which(
            'nova-rootwrap', path=os.path.dirname(sys.executable) + ':' +
            os.environ['PATH'])
        if not rootwrap:
            self.fail('nova-rootwrap is not installed beside Python')
        configuration = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'rootwrap.conf')
        with open(configuration, 'w') as target:
            target.write(_CONFIGURATION % _FILTERS)
        return '%s %s' % (rootwrap, configuration)

    def _namespace(self):
        process = subprocess.Popen(['unshare', '--net', 'sleep', '600'])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        path = '/proc/%d/ns/net' % process.pid
        own = os.readlink('/proc/self/ns/net')
        waiting.until(lambda: os.readlink(path) != own, 'a namespace')
        return path

    def _inode(self, path):
        return subprocess.run(
            ['nsenter', '--net=' + path, 'readlink', '/proc/self/ns/net'],
            check=True, capture_output=True, text=True).stdout

    def test_life_of_a_link(self):
        for _restart in range(2):
            path = self._namespace()
            netns_links.link_namespace(path, self.link, self.root_helper)
            self.assertEqual(path, os.readlink(self.link))
            self.assertEqual(self._inode(path), self._inode(self.link))
        netns_links.unlink_namespace(self.link, self.root_helper)
        self.assertFalse(os.path.lexists(self.link))

    def test_other_commands_are_refused(self):
        self.assertRaises(
            processutils.ProcessExecutionError, netns_links._as_root,
            self.root_helper, 'ln', '-sfn', '/etc', self.link)
        self.assertFalse(os.path.lexists(self.link))
