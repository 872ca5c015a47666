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

"""compute_driver = novadocker.virt.docker.DockerDriver, as installed here."""

import sys

import testtools

from tests import loading

# nova-compute decides about eventlet before any of these may be imported.
HEAVY = {'nova', 'novadocker', 'eventlet', 'urllib3', 'requests', 'docker',
         'oslo_config', 'oslo_context', 'importlib_metadata'}


class LoadingTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.found = loading.probe()

    def test_nova_loads_the_driver_by_its_literal_name(self):
        self.assertTrue(self.found['is_real'])

    def test_alias_and_package_are_the_same_module_objects(self):
        self.assertTrue(self.found['same_package'])
        self.assertTrue(self.found['same_module'])

    def test_options_are_registered_once(self):
        self.assertTrue(self.found['same_conf'])

    def test_modules_keep_their_own_names(self):
        self.assertEqual('novadocker.virt.docker.engine.model',
                         self.found['spec_name'])
        self.assertEqual('novadocker.virt.docker.engine.model',
                         self.found['class_module'])

    def test_interpreter_start_loads_the_alias_and_nothing_heavy(self):
        self.assertIn('_novadocker_alias', self.found['at_start'])
        self.assertEqual(set(), HEAVY & set(self.found['at_start']))

    def test_no_eventlet_on_native_threads(self):
        self.assertFalse(self.found['eventlet'])


class AliasTest(testtools.TestCase):

    def _run(self, *lines):
        return loading.run(sys.executable, '-c', '\n'.join(lines)).strip()

    def test_other_names_are_left_alone(self):
        self.assertEqual('None', self._run(
            'from importlib import util',
            'print(util.find_spec("nova.virt.novadockerish"))'))

    def test_missing_submodule_is_reported_under_its_real_name(self):
        self.assertEqual('novadocker.missing', self._run(
            'try:',
            '    import nova.virt.novadocker.missing',
            'except ModuleNotFoundError as error:',
            '    print(error.name)'))

    def test_reload_keeps_the_module(self):
        self.assertEqual('True novadocker.i18n', self._run(
            'import importlib',
            'import nova.virt.novadocker.i18n as alias',
            'import novadocker.i18n as real',
            'print(importlib.reload(alias) is real, real.__spec__.name)'))

    def test_installing_twice_adds_one_finder(self):
        self.assertEqual('1', self._run(
            'import sys',
            'import _novadocker_alias',
            '_novadocker_alias.install()',
            'print(sum(f is _novadocker_alias._NovaVirtAlias'
            ' for f in sys.meta_path))'))
