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

import importlib.machinery
import importlib.util
import json
import os
import pathlib

import fixtures
from nova import exception

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import seccomp
from tests import base

ENGINE = model.EngineInfo(
    version='20.10.24', api_version='1.41', architecture='x86_64', cpus=4,
    memory_bytes=1 << 30, root_directory='/', storage_driver='overlay2',
    security_options=('name=apparmor', 'name=seccomp,profile=default'))
TOOL = pathlib.Path(__file__).parents[2] / 'tools/seccomp/generate'


def tool():
    """The script as a module; its name has no suffix."""
    loader = importlib.machinery.SourceFileLoader('generate', str(TOOL))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader('generate', loader))
    loader.exec_module(module)
    return module


class ProfileTest(base.TestCase):
    def _rules(self, name):
        return [rule for rule in json.loads(
            seccomp.profile(ENGINE))['syscalls'] if name in rule['names']]

    def test_is_what_the_script_makes(self):
        with open(seccomp.OURS) as text:
            self.assertEqual(tool().generated(), text.read())

    def test_differs_from_the_engines_in_sockets_alone(self):
        generate = tool()
        base_profile = json.loads(generate.BASE.read_text())
        ours = json.loads(seccomp.profile(ENGINE))
        for profile in (base_profile, ours):
            profile['syscalls'] = [
                dict(rule, names=sorted(set(rule['names']) -
                                        generate.REFUSED))
                for rule in profile['syscalls']
                if set(rule['names']) - generate.REFUSED]
        self.assertEqual(base_profile, ours)

    def test_sockets_are_allowed_by_family(self):
        families = set()
        for rule in self._rules('socket'):
            condition, = rule['args']
            self.assertEqual(('SCMP_ACT_ALLOW', 'SCMP_CMP_EQ', 0), (
                rule['action'], condition['op'], condition['index']))
            families.add(condition['value'])
        self.assertEqual({1, 2, 10, 16, 17}, families)

    def test_what_is_not_allowed(self):
        rule, = self._rules('socketcall')
        self.assertEqual(('SCMP_ACT_ERRNO', 38), (
            rule['action'], rule['errnoRet']))
        for name in ('io_uring_setup', 'userfaultfd', 'keyctl',
                     'add_key', 'kexec_load'):
            self.assertEqual([], self._rules(name), name)
        for name in ('bpf', 'unshare', 'mount'):
            self.assertEqual([], [rule for rule in self._rules(name)
                                  if not rule.get('includes', {}).get('caps')])

    def test_engines_own(self):
        self.flags(seccomp_profile='engine', group='docker')
        self.assertIsNone(seccomp.profile(ENGINE))

    def test_operators_own(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'mine')
        with open(path, 'w') as mine:
            mine.write('{ "defaultAction": "SCMP_ACT_ALLOW" }')
        self.flags(seccomp_profile=path, group='docker')
        self.assertEqual('{"defaultAction":"SCMP_ACT_ALLOW"}',
                         seccomp.profile(ENGINE))

    def test_operators_own_that_is_none(self):
        directory = self.useFixture(fixtures.TempDir()).path
        broken = os.path.join(directory, 'broken')
        with open(broken, 'w') as text:
            text.write('{')
        for path in (broken, os.path.join(directory, 'missing')):
            self.flags(seccomp_profile=path, group='docker')
            self.assertRaisesRegex(exception.InvalidConfiguration, path,
                                   seccomp.profile, ENGINE)
