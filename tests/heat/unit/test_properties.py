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

"""The contract with old templates: names, types, defaults, constraints."""

from heat.common import exception as heat_exception
from heat.engine import constraints
from heat.engine import properties as heat_properties
import testtools

from heat_docker import attributes
from heat_docker import properties

# Of the plugin in Heat's tree. Two things differ: ``image`` was not
# required, though nothing could be created without it, and the default of
# ``volumes_from`` was an empty string.
OLD = {
    'docker_endpoint': ('String', None), 'hostname': ('String', ''),
    'user': ('String', ''), 'memory': ('Integer', None),
    'port_specs': ('List', None), 'port_bindings': ('Map', None),
    'links': ('Map', None), 'name': ('String', None),
    'privileged': ('Boolean', False), 'tty': ('Boolean', False),
    'open_stdin': ('Boolean', False), 'stdin_once': ('Boolean', False),
    'env': ('List', None), 'cmd': ('List', []), 'dns': ('List', None),
    'image': ('String', None), 'volumes': ('Map', {}),
    'volumes_from': ('List', []), 'restart_policy': ('Map', {}),
    'cap_add': ('List', []), 'cap_drop': ('List', []),
    'read_only': ('Boolean', False), 'cpu_shares': ('Integer', 0),
    'devices': ('List', []), 'cpu_set': ('String', None),
}
NEW = {'health_check', 'networks', 'labels', 'pull_policy'}
IN_PLACE = {'memory', 'cpu_shares', 'cpu_set', 'restart_policy', 'name',
            'pull_policy'}
SINCE = {'restart_policy': '2015.1', 'cap_add': '2015.1',
         'cap_drop': '2015.1', 'read_only': '2015.1', 'cpu_shares': '5.0.0',
         'devices': '5.0.0', 'cpu_set': '5.0.0'}


class SchemaTest(testtools.TestCase):

    def test_old_properties(self):
        self.assertEqual(OLD, {
            name: (schema.type, schema.default)
            for name, schema in properties.SCHEMA.items() if name in OLD})
        self.assertEqual(SINCE, {
            name: schema.support_status.version
            for name, schema in properties.SCHEMA.items()
            if schema.support_status.version})

    def test_no_others_but_the_new_ones(self):
        self.assertEqual(NEW, set(properties.SCHEMA) - set(OLD))
        self.assertEqual(set(properties.SCHEMA), set(properties.PROPERTIES))

    def test_which_change_in_place(self):
        self.assertEqual(IN_PLACE, {
            name for name, schema in properties.SCHEMA.items()
            if schema.update_allowed})

    def test_attributes(self):
        maps = {'info', 'network_info'}
        strings = {'network_ip', 'network_gateway', 'network_tcp_ports',
                   'network_udp_ports', 'logs', 'logs_head', 'logs_tail'}
        self.assertEqual(
            {**dict.fromkeys(maps, 'Map'), **dict.fromkeys(strings, 'String')},
            {name: schema.type for name, schema
             in attributes.SCHEMA.items() if name != 'show'})

    def test_capabilities(self):
        for name in ('cap_add', 'cap_drop'):
            rule, = properties.SCHEMA[name].schema[0].constraints
            self.assertIsInstance(rule, constraints.AllowedValues)
            self.assertEqual(38, len(rule.allowed))
            self.assertIn('ALL', rule.allowed)


class ValueTest(testtools.TestCase):

    def values(self, **given):
        given.setdefault('image', 'busybox')
        return self.validated(given)

    def validated(self, given):
        found = heat_properties.Properties(properties.SCHEMA, given)
        found.validate()
        return found

    def assertInvalid(self, **given):
        self.assertRaises(heat_exception.StackValidationFailed, self.values,
                          **given)

    def test_image_is_required(self):
        self.assertRaises(heat_exception.StackValidationFailed,
                          self.validated, {})

    def test_restart_policy(self):
        self.assertEqual({'Name': 'no', 'MaximumRetryCount': 0},
                         self.values()['restart_policy'])
        self.assertInvalid(restart_policy={'Name': 'unless-stopped'})
        self.assertInvalid(restart_policy={'Name': 'no', 'Other': 1})

    def test_devices(self):
        device, = self.values(
            devices=[{'path_on_host': '/dev/kvm'}])['devices']
        self.assertEqual({'path_on_host': '/dev/kvm', 'permissions': 'rwm',
                          'path_in_container': None}, device)
        for bad in ({}, {'path_on_host': '/etc/passwd'},
                    {'path_on_host': '/dev/../etc'},
                    {'path_on_host': '/dev/' + 'a' * 255},
                    {'path_on_host': '/dev/kvm', 'permissions': 'x'},
                    {'path_on_host': '/dev/kvm',
                     'path_in_container': '/kvm'}):
            self.assertInvalid(devices=[bad])

    def test_capabilities(self):
        self.assertInvalid(cap_add=['CAP_CHOWN'])
        self.assertInvalid(cap_drop=['NONE'])

    def test_health_check(self):
        check = self.values(health_check={'test': ['CMD', 'true']})
        self.assertEqual(
            {'test': ['CMD', 'true'], 'interval': 30, 'timeout': 30,
             'retries': 3, 'start_period': 0}, check['health_check'])
        self.assertIsNone(self.values()['health_check'])
        self.assertInvalid(health_check={'interval': 1})
        self.assertInvalid(health_check={'test': ['CMD'], 'retries': 0})

    def test_networks(self):
        self.assertInvalid(networks=[{'aliases': ['a']}])
        self.assertInvalid(networks=['front'])

    def test_pull_policy(self):
        self.assertEqual('missing', self.values()['pull_policy'])
        self.assertInvalid(pull_policy='sometimes')
