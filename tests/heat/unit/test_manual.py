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

"""The manual knows every property, attribute and option."""

import os

import testtools

from heat_docker import attributes
from heat_docker import conf
from heat_docker import properties

_MANUAL = os.path.join(os.path.dirname(__file__), '..', '..', '..', 'doc',
                       'source', 'heat.rst')


class ManualTest(testtools.TestCase):

    def test_nothing_is_missing(self):
        with open(_MANUAL) as manual:
            text = manual.read()
        names = [*properties.PROPERTIES, *attributes.ATTRIBUTES,
                 *(option.name for option in conf.ALL_OPTS)]
        self.assertEqual([], [
            name for name in names if '``%s``' % name not in text])

    def test_what_changes_in_place(self):
        with open(_MANUAL) as manual:
            rows = manual.read().split('   * - ')
        told = {row.split('``')[1] for row in rows
                if row.splitlines()[2:3] == ['     - yes']}
        self.assertEqual(
            {name for name, schema in properties.SCHEMA.items()
             if schema.update_allowed}, told)
