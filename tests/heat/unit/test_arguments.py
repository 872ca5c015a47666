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

"""Properties as arguments of docker-py."""

from heat.engine import properties as heat_properties
import testtools

from heat_docker import arguments
from heat_docker import properties


def values(**given):
    return heat_properties.Properties(
        properties.SCHEMA, {'image': 'busybox', **given})


def host_config(**given):
    return arguments.host_config(values(**given), {}, [])


class PortTest(testtools.TestCase):

    def test_spellings(self):
        config = arguments.config(values(
            port_specs=['80', '443/tcp', '53/udp', 80]), {})
        self.assertEqual([(80, 'tcp'), (443, 'tcp'), (53, 'udp')],
                         config['ports'])

    def test_published_ports_are_exposed(self):
        config = arguments.config(values(port_bindings={'53/udp': 53}), {})
        self.assertEqual([(53, 'udp')], config['ports'])

    def test_where_to_publish(self):
        for where, expected in (
                (8080, [('', '8080')]), ('8080', [('', '8080')]),
                (None, [('', '')]),
                ({'HostPort': 8080}, [('', '8080')]),
                ({'HostIp': '192.0.2.1', 'HostPort': '1'},
                 [('192.0.2.1', '1')]),
                ([{'HostPort': '1'}, {'HostPort': '2'}],
                 [('', '1'), ('', '2')])):
            bindings = host_config(port_bindings={'80': where})
            self.assertEqual(
                {'80/tcp': [{'HostIp': ip, 'HostPort': port}
                            for ip, port in expected]},
                bindings['port_bindings'])

    def test_no_ports(self):
        for text in ('8080:80', 'http', '0', '65536', '80/icmp', '-1'):
            self.assertRaises(ValueError, arguments.check,
                              values(port_specs=[text]))
            self.assertRaises(ValueError, arguments.check,
                              values(port_bindings={text: '80'}))
        for where in ({'Port': 80}, 'http', '1-', '-1', True, '65536',
                      '80-70000', {'HostIp': 'any', 'HostPort': 80}):
            self.assertRaises(ValueError, arguments.check,
                              values(port_bindings={'80': where}))

    def test_any_port_of_a_range(self):
        bindings = host_config(port_bindings={80: '8000-8010'})
        self.assertEqual(
            {'80/tcp': [{'HostIp': '', 'HostPort': '8000-8010'}]},
            bindings['port_bindings'])


class VolumeTest(testtools.TestCase):

    def test_spellings(self):
        for target, expected in (
                ('/data', 'rw'), ({'bind': '/data'}, 'rw'),
                ({'bind': '/data', 'ro': True}, 'ro'),
                ({'bind': '/data', 'ro': False}, 'rw'),
                ({'bind': '/data', 'ro': 'false'}, 'rw'),
                ({'bind': '/data', 'ro': 'True'}, 'ro'),
                ({'bind': '/data', 'ro': None}, 'rw'),
                ({'bind': '/data', 'mode': 'ro'}, 'ro')):
            self.assertEqual(['/srv:/data:' + expected],
                             host_config(volumes={'/srv': target})['binds'])

    def test_no_volumes(self):
        for source, target in (
                ('/srv', 'data'), ('/srv', None), ('/srv', {'ro': True}),
                ('/srv', '/data:ro'), ('/srv:/x', '/data'),
                ('/srv', {'bind': '/data', 'ro': 'perhaps'}),
                ('/srv', {'bind': '/data', 'mode': 'shared'}),
                ('/srv', {'bind': '/data', 'propagation': 'shared'})):
            self.assertRaises(ValueError, arguments.check,
                              values(volumes={source: target}))

    def test_of_other_containers(self):
        self.assertEqual(
            [('db', ''), ('db', ':ro'), ('7', ':rw')],
            arguments.volumes_from(values(
                volumes_from=['db', 'db:ro', '7:rw'])))
        self.assertEqual(['id:ro'], arguments.host_config(
            values(), {}, [('id', ':ro')])['volumes_from'])
        self.assertRaises(ValueError, arguments.check,
                          values(volumes_from=['db:z']))


class HostConfigTest(testtools.TestCase):

    def test_devices(self):
        devices = [{'path_on_host': '/dev/kvm'},
                   {'path_on_host': '/dev/fuse', 'permissions': 'r',
                    'path_in_container': '/dev/a'}]
        self.assertEqual(['/dev/kvm:/dev/kvm:rwm', '/dev/fuse:/dev/a:r'],
                         host_config(devices=devices)['devices'])

    def test_privileged_has_all_devices(self):
        wanted = host_config(devices=[{'path_on_host': '/dev/kvm'}],
                             privileged=True)
        self.assertTrue(wanted['privileged'])
        self.assertIsNone(wanted['devices'])

    def test_as_much_swap_as_memory(self):
        wanted = host_config(memory=100)
        self.assertEqual((100, 200),
                         (wanted['mem_limit'], wanted['memswap_limit']))
        self.assertIsNone(host_config(memory=0)['memswap_limit'])

    def test_links_are_the_default_bridges_or_the_endpoints(self):
        links = {'id': 'db'}
        for networks in (None, [{'network': 'bridge'}]):
            given = values(networks=networks)
            self.assertEqual(
                links, arguments.host_config(given, links, [])['links'])
            self.assertFalse(any(
                settings for _name, settings
                in arguments.endpoints(given, links)))
        given = values(networks=[{'network': 'back', 'aliases': ['a']}])
        self.assertIsNone(
            arguments.host_config(given, links, [])['links'])
        self.assertEqual([('back', {'aliases': ['a'], 'links': links})],
                         arguments.endpoints(given, links))

    def test_health_check_counts_nanoseconds(self):
        config = arguments.config(values(health_check={
            'test': ['CMD', 'true'], 'interval': 0.5}), {})
        self.assertEqual(
            {'Test': ['CMD', 'true'], 'Interval': 500_000_000,
             'Timeout': 30 * 10 ** 9, 'StartPeriod': 0, 'Retries': 3},
            config['healthcheck'])

    def test_own_labels_win(self):
        config = arguments.config(values(labels={'a': 'theirs', 'b': 1}),
                                  {'a': 'ours'})
        self.assertEqual({'a': 'ours', 'b': '1'}, config['labels'])


class ScalarTest(testtools.TestCase):
    """What YAML takes for numbers, booleans and nulls reaches engines as the
    text that was written.
    """

    def test_words_of_a_command(self):
        config = arguments.config(values(
            cmd=['sleep', 3600, 0.5, True, False, None, 'yes']), {})
        self.assertEqual(
            ['sleep', '3600', '0.5', 'true', 'false', '', 'yes'],
            config['command'])

    def test_words_of_a_health_check(self):
        config = arguments.config(values(
            health_check={'test': ['CMD', True, 1, 0.5]}), {})
        self.assertEqual(['CMD', 'true', '1', '0.5'],
                         config['healthcheck']['Test'])

    def test_labels(self):
        config = arguments.config(values(
            labels={1: 2, 'debug': True, 'load': 0.5, 'empty': None}), {})
        self.assertEqual({'1': '2', 'debug': 'true', 'load': '0.5',
                          'empty': ''}, config['labels'])

    def test_environment(self):
        config = arguments.config(values(env=['A=1', 'B=', 'C', 7]), {})
        self.assertEqual(['A=1', 'B=', 'C', '7'], config['environment'])
        for entry in ({'A': 1}, '=1'):
            error = self.assertRaises(ValueError, arguments.check,
                                      values(env=[entry]))
            self.assertIn('write NAME=value', str(error))

    def test_containers(self):
        self.assertEqual({'7': '8'}, arguments.links(values(links={7: 8})))
        self.assertEqual([('7', '')],
                         arguments.volumes_from(values(volumes_from=[7])))

    def test_volumes(self):
        self.assertEqual(['7:/data:rw'],
                         host_config(volumes={7: '/data'})['binds'])

    def test_what_is_no_text(self):
        for name, value in (
                ('cmd', ['echo', {'a': 'b'}]), ('cmd', [['sh', '-c']]),
                ('labels', {'a': ['b']}), ('labels', {'a': {'b': 'c'}}),
                ('dns', [['192.0.2.1']]), ('links', {'db': ['a']}),
                ('health_check', {'test': ['CMD', ['true']]})):
            error = self.assertRaises(ValueError, arguments.check,
                                      values(**{name: value}))
            self.assertIn('Property %s' % name, str(error))

    def test_name_servers_are_addresses(self):
        self.assertEqual(['192.0.2.1', '2001:db8::1'], host_config(
            dns=['192.0.2.1', None, '2001:db8::1'])['dns'])
        error = self.assertRaises(ValueError, arguments.check,
                                  values(dns=['ns.example.org']))
        self.assertIn('ns.example.org is no IP address', str(error))
