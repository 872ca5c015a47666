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

"""Each row about containers in the threat model names tests that exist."""

import pathlib
import re

import testtools

from tests.functional import test_boot_faults_engine
from tests.functional import test_imagevolumes_engine
from tests.functional import test_seccomp_engine
from tests.unit import test_seccomp
from tests.unit import test_spec

DOCUMENT = (pathlib.Path(__file__).parents[2] / 'doc' / 'source' /
            'threat-model.rst')
MODULES = (test_boot_faults_engine, test_imagevolumes_engine,
           test_seccomp_engine, test_seccomp, test_spec)


def held_by():
    """What the third column of the table names, row by row."""
    section = DOCUMENT.read_text().partition('\nContainers\n===')[2]
    section = re.split(r'\n[^\n]+\n={3,}\n', section)[0]
    cells = re.split(r'\n(?:   \* - |     - )', section)[1:]
    return [re.findall(r'``([\w.]+)``', cell) for cell in cells[5::3]]


def exists(name):
    first, _dot, method = name.partition('.')
    return any(hasattr(getattr(module, first), method) if method else True
               for module in MODULES if hasattr(module, first))


class ContainerThreatsTest(testtools.TestCase):
    def test_every_row_is_held(self):
        rows = held_by()
        self.assertGreater(len(rows), 5)
        self.assertNotIn([], rows)
        self.assertEqual([], [name for row in rows for name in row
                              if not exists(name)])
