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


"""The threat model tells of every attack of the corpus, and invents none."""

import pathlib
import re

import testtools

from tests.data import archives
from tests.functional import test_archive_engine
from tests.unit import test_archive
from tests.unit import test_archive_fuzz
from tests.unit import test_archive_links

DOCUMENT = (pathlib.Path(__file__).parents[2] / 'doc' / 'source' /
            'threat-model.rst')
MODULES = (test_archive, test_archive_fuzz, test_archive_links,
           test_archive_engine)


def held_by():
    """What the third column of the table names."""
    section = DOCUMENT.read_text().partition('Image archives\n')[2]
    section = re.split(r'\n[^\n]+\n={3,}\n', section)[0]
    cells = re.split(r'\n(?:   \* - |     - )', section)[1:]
    return [name for cell in cells[5::3]
            for name in re.findall(r'``([\w.]+)``', cell)]


def exists(name):
    first, _dot, method = name.partition('.')
    found = [getattr(module, first) for module in MODULES
             if hasattr(module, first)]
    return any(hasattr(one, method) if method else True for one in found)


class ThreatModelTest(testtools.TestCase):

    def test_every_case_has_a_row(self):
        self.assertEqual(set(), set(archives.HOSTILE) - set(held_by()))

    def test_every_row_is_held(self):
        names = held_by()
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([], [name for name in names
                              if name not in archives.HOSTILE and
                              not exists(name)])
        self.assertGreater(len(names), len(archives.HOSTILE))
