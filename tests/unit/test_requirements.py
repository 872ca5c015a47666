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

"""requirements.txt says what is imported, no more and no less."""

from importlib import metadata
import pathlib
import sys

from packaging import requirements
from packaging import utils
import testtools

from tests.unit import test_layers

ROOT = pathlib.Path(__file__).parents[2]

# In the standard library of a later Python; used where it is there.
LATER_STDLIB = {'compression'}


def required():
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    return [requirements.Requirement(line.partition('#')[0])
            for line in lines if not line.startswith('#')]


def pins(path):
    lines = (ROOT / path).read_text().splitlines()
    return {utils.canonicalize_name(name): version for name, _, version in (
        line.partition('==') for line in lines if not line.startswith('#'))}


def imported():
    """Distributions that the package imports, by their canonical names."""
    packages = {name.partition('.')[0]
                for _, path in test_layers.modules()
                for name in test_layers.imports(path)}
    packages -= sys.stdlib_module_names | LATER_STDLIB | {'novadocker'}
    owners = metadata.packages_distributions()
    return {utils.canonicalize_name(owner)
            for package in packages for owner in owners[package]}


class RequirementsTest(testtools.TestCase):

    def test_requirements_are_the_imports(self):
        self.assertEqual(imported(), {
            utils.canonicalize_name(each.name) for each in required()})

    def test_every_requirement_has_a_lower_bound(self):
        for each in required():
            self.assertEqual(['>='], [spec.operator
                                      for spec in each.specifier], each.name)


class ConstraintsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.pins = pins('constraints.txt')

    def test_every_requirement_is_pinned_within_its_bounds(self):
        for each in required():
            name = utils.canonicalize_name(each.name)
            self.assertIn(self.pins[name], each.specifier, name)

    def test_tests_and_quickstart_run_the_same_versions(self):
        quickstart = pins('contrib/quickstart/constraints.txt')
        # Builds packages and is no part of what runs.
        del self.pins['setuptools']
        self.assertEqual({}, {
            name: (version, quickstart[name])
            for name, version in self.pins.items()
            if quickstart.get(name, version) != version})
