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

from nova import exception
from novadocker import extra_specs
from tests import base


class ExtraSpecsTest(base.TestCase):
    def _validate(self, name, value):
        validators = {v.name: v for v in extra_specs.register()}
        validators[name].validate(name, value)

    def test_every_key_has_a_validator(self):
        keys = {value for name, value in vars(extra_specs).items()
                if name.isupper()}
        self.assertEqual(keys, {v.name for v in extra_specs.register()})

    def test_api_accepts(self):
        for name, value in (('docker:privileged', 'true'),
                            ('docker:pids_limit', '100'),
                            ('docker:runtime', 'runsc'),
                            ('docker:nofile_limit', '65536')):
            self._validate(name, value)

    def test_api_refuses(self):
        for name, value in (('docker:privileged', 'maybe'),
                            ('docker:pids_limit', '0'),
                            ('docker:pids_limit', 'many'),
                            ('docker:nofile_limit', '1'),
                            ('docker:runtime', '../evil')):
            self.assertRaises(exception.ValidationError,
                              self._validate, name, value)

    def test_driver_parses_again(self):
        specs = {'docker:net_raw': 'yes', 'docker:pids_limit': '7'}
        self.assertTrue(extra_specs.boolean(specs, 'docker:net_raw', False))
        self.assertFalse(extra_specs.boolean({}, 'docker:net_raw', False))
        self.assertEqual(7, extra_specs.integer(
            specs, 'docker:pids_limit', 1))
        self.assertEqual(1, extra_specs.integer({}, 'docker:pids_limit', 1))

    def test_driver_names_the_culprit(self):
        specs = {'docker:net_raw': 'perhaps', 'docker:pids_limit': '-7'}
        self.assertRaisesRegex(
            exception.InvalidInput, 'docker:net_raw.*"perhaps"',
            extra_specs.boolean, specs, 'docker:net_raw', False)
        self.assertRaisesRegex(
            exception.InvalidInput, 'docker:pids_limit.*"-7"',
            extra_specs.integer, specs, 'docker:pids_limit', 1)
