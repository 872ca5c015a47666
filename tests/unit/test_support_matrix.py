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

"""Every "complete" in the support matrix has a test that shows it.

Shows it on a real engine: what is tried on a fake only is not complete.
"""

import configparser
import importlib
import pathlib

import testtools

from tests.functional import nova_case

MATRIX = (pathlib.Path(__file__).parents[2] /
          'doc/source/support-matrix.ini')

# Rows that Nova demands of every driver.
MANDATORY = {'operation.launch', 'operation.terminate',
             'operation.get-guest-info', 'operation.storage.image'}


def find_test(name):
    """The test method of a dotted name, or None."""
    module, class_name, method = name.rsplit('.', 2)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return None
    return getattr(getattr(found, class_name, None), method, None)


def runs_on_a_real_engine(name):
    module, class_name, _method = name.rsplit('.', 2)
    case = getattr(importlib.import_module(module), class_name)
    return getattr(case, 'backend_class', None) is nova_case.RealBackend


class SupportMatrixTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.matrix = configparser.ConfigParser()
        self.matrix.read_string(MATRIX.read_text())

    def _rows(self, status):
        return [section for section in self.matrix.sections()
                if self.matrix[section].get('driver.docker') == status]

    def test_each_complete_row_names_tests_that_exist(self):
        missing = [
            f'{row}: {name}' for row in self._rows('complete')
            for name in self.matrix[row].get('tests', 'a.test.is.due').split()
            if not callable(find_test(name))]
        self.assertEqual([], missing)

    def test_each_test_runs_on_a_real_engine(self):
        on_fakes = [
            f'{row}: {name}' for row in self._rows('complete')
            for name in self.matrix[row]['tests'].split()
            if not runs_on_a_real_engine(name)]
        self.assertEqual([], on_fakes)

    def test_only_complete_rows_name_tests(self):
        named = {row for row in self.matrix.sections()
                 if 'tests' in self.matrix[row]}
        self.assertEqual(set(self._rows('complete')), named)

    def test_mandatory_rows_are_complete(self):
        self.assertEqual(set(), MANDATORY - set(self._rows('complete')))

    def test_matrix_has_all_rows_of_nova(self):
        self.assertEqual(59, len(self.matrix.sections()) - 1)
