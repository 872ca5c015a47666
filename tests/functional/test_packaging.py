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

"""Install and uninstall, as a wheel and editable, beside both kinds of Nova.

Each test has an environment of its own. What it needs besides the package
is linked from the environment that runs the tests, so nothing is downloaded.
"""

import importlib.util
import inspect
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile

import pbr.build
import testtools

from nova import monkey_patch
from tests import loading

ROOT = pathlib.Path(__file__).parents[2]
SITE = pathlib.Path(sysconfig.get_path('purelib'))
OURS = ('novadocker', 'nova_docker', '_novadocker', '__editable__')

# As setuptools writes it for an editable install, which DevStack makes.
_EDITABLE_FINDER = """
import sys
from importlib import util


class NovaFinder:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname == 'nova':
            return util.spec_from_file_location(
                fullname, {init!r}, submodule_search_locations=[{package!r}])


sys.meta_path.append(NovaFinder)
"""


def pip(python, *args):
    subprocess.run(
        [sys.executable, '-m', 'pip', '--python', str(python), '-q',
         '--disable-pip-version-check', *args],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def copy_tree(target):
    """A source tree without history and leftovers, to build in."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(
        '.*', 'build', 'dist', '*.egg-info', '__pycache__', 'tests'))
    return target


class PackagingTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if monkey_patch.is_patched():
            raise cls.skipException('Independent of how Nova runs threads')
        cls.shared = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        pip(sys.executable, 'wheel', '--no-deps', '--no-build-isolation',
            '-w', str(cls.shared), str(copy_tree(cls.shared / 'tree')))
        cls.wheel, = cls.shared.glob('*.whl')

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def _environment(self, nova_is_editable):
        """A virtual environment with Nova and all that we require."""
        venv.create(self.root / 'venv', symlinks=True)
        self.python = self.root / 'venv/bin/python'
        self.site = pathlib.Path(subprocess.check_output(
            [self.python, '-c', 'import sysconfig;'
             'print(sysconfig.get_path("purelib"))'], text=True).strip())
        self._link_requirements(self.root / 'requirements')
        if nova_is_editable:
            self._install_nova_editable(self.root / 'nova-tree')
        else:
            os.symlink(SITE / 'nova', self.site / 'nova')

    def _link_requirements(self, directory):
        directory.mkdir()
        for entry in SITE.iterdir():
            if entry.name != 'nova' and not entry.name.startswith(OURS):
                os.symlink(entry, directory / entry.name)
        (self.site / 'requirements.pth').write_text(f'{directory}\n')

    def _install_nova_editable(self, tree):
        tree.mkdir()
        os.symlink(SITE / 'nova', tree / 'nova')
        (self.site / 'nova_finder.py').write_text(_EDITABLE_FINDER.format(
            init=str(tree / 'nova/__init__.py'), package=str(tree / 'nova')))
        (self.site / 'nova_finder.pth').write_text('import nova_finder\n')

    def _snapshot(self):
        return {path for path in (self.root / 'venv').rglob('*')
                if '__pycache__' not in path.parts}

    def _test_life(self, nova_is_editable, *install):
        self._environment(nova_is_editable)
        before = self._snapshot()
        pip(self.python, 'install', '--no-deps', '--no-index',
            '--no-build-isolation', *install)
        found = loading.probe(str(self.python))
        self.assertTrue(found['is_real'])
        self.assertTrue(found['same_package'])
        self.assertTrue(found['same_module'])
        self.assertIn(str(self.root), found['nova'])
        self.assertIn(str(self.root), found['novadocker'])
        pip(self.python, 'uninstall', '-y', 'nova-docker')
        self.assertEqual(
            set(), {path for path in self._snapshot() - before
                    if not path.is_dir()})
        self._assert_nova_is_whole_and_alone()

    def _assert_nova_is_whole_and_alone(self):
        self.assertEqual('None', loading.run(
            str(self.python), '-c',
            'from importlib import util\n'
            'import nova.virt.driver\n'
            'print(util.find_spec("nova.virt.novadocker"))').strip())

    def test_wheel_beside_nova_wheel(self):
        self._test_life(False, str(self.wheel))

    def test_wheel_beside_editable_nova(self):
        self._test_life(True, str(self.wheel))

    def test_editable_beside_nova_wheel(self):
        self._test_life(False, '-e', str(copy_tree(self.root / 'tree')))

    def test_editable_beside_editable_nova(self):
        self._test_life(True, '-e', str(copy_tree(self.root / 'tree')))

    def test_wheel_has_nothing_below_nova(self):
        """A file there would make Nova's own packages vanish."""
        names = zipfile.ZipFile(self.wheel).namelist()
        self.assertIn('novadocker/__init__.py', names)
        self.assertEqual(
            [], [name for name in names if name.startswith('nova/')])

    def test_wheel_records_every_file(self):
        with zipfile.ZipFile(self.wheel) as wheel:
            record, = [name for name in wheel.namelist()
                       if name.endswith('.dist-info/RECORD')]
            recorded = {row.split(',')[0] for row in
                        wheel.read(record).decode().splitlines()}
            self.assertEqual(set(wheel.namelist()), recorded)

    def test_wheel_carries_the_rootwrap_filters(self):
        names = zipfile.ZipFile(self.wheel).namelist()
        self.assertTrue(any(
            name.endswith('data/etc/nova/rootwrap.d/docker.filters')
            for name in names), names)

    def test_hooks_take_the_arguments_of_the_standard(self):
        """pip passes them by position, tox by name."""
        spec = importlib.util.spec_from_file_location(
            'wheel_hooks', ROOT / 'tools/packaging/wheel_hooks.py')
        hooks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hooks)
        for name in pbr.build.__all__:
            self.assertEqual(
                inspect.signature(getattr(pbr.build, name)),
                inspect.signature(getattr(hooks, name)), name)
