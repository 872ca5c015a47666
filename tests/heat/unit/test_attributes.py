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

"""Attributes out of what engines of all ages answer."""

import copy
import json
import os

import testtools

from heat_docker import attributes

_DATA = os.path.join(os.path.dirname(__file__), '..', '..', 'data')
# The release notes of Engine 29 list these as gone.
_GONE = ('Bridge', 'EndpointID', 'Gateway', 'GlobalIPv6Address',
         'GlobalIPv6PrefixLen', 'HairpinMode', 'IPAddress', 'IPPrefixLen',
         'IPv6Gateway', 'LinkLocalIPv6Address', 'LinkLocalIPv6PrefixLen',
         'MacAddress', 'SecondaryIPAddresses', 'SecondaryIPv6Addresses')


def recorded(name: str) -> dict:
    with open(os.path.join(_DATA, name)) as answer:
        return json.load(answer)


def of_engine_29(info: dict) -> dict:
    newer = copy.deepcopy(info)
    for field in _GONE:
        del newer['NetworkSettings'][field]
    return newer


class AttributesTest(testtools.TestCase):

    def resolve(self, info):
        return {name: attributes.resolve(name, info) for name in (
            'network_ip', 'network_gateway', 'network_tcp_ports',
            'network_udp_ports')}

    def test_default_bridge(self):
        info = recorded('heat_inspect_bridge_20.10.24.json')
        expected = {
            'network_ip': '172.17.0.2', 'network_gateway': '172.17.0.1',
            'network_tcp_ports': '32776', 'network_udp_ports': '32772'}
        self.assertEqual(expected, self.resolve(info))
        self.assertEqual(expected, self.resolve(of_engine_29(info)))

    def test_network_by_name(self):
        info = recorded('heat_inspect_network_20.10.24.json')
        self.assertEqual('', info['NetworkSettings']['IPAddress'])
        expected = {
            'network_ip': '172.31.0.2', 'network_gateway': '172.31.0.1',
            'network_tcp_ports': '', 'network_udp_ports': ''}
        self.assertEqual(expected, self.resolve(info))
        self.assertEqual(expected, self.resolve(of_engine_29(info)))

    def test_network_info_has_the_old_fields_with_every_engine(self):
        info = recorded('heat_inspect_bridge_20.10.24.json')
        old = info['NetworkSettings']
        newer = attributes.network_info(of_engine_29(info))
        for field in ('IPAddress', 'IPPrefixLen', 'Gateway', 'MacAddress',
                      'EndpointID', 'GlobalIPv6Address', 'IPv6Gateway',
                      'GlobalIPv6PrefixLen', 'Ports', 'Networks'):
            self.assertEqual(old[field], newer[field])

    def test_container_without_network(self):
        info = {'HostConfig': {'NetworkMode': 'none'},
                'NetworkSettings': {'Ports': {}, 'Networks': {}}}
        self.assertEqual({''}, set(self.resolve(info).values()))

    def test_ports_that_are_only_exposed(self):
        info = {'HostConfig': {'NetworkMode': 'default'}, 'NetworkSettings': {
            'Ports': {'80/tcp': None, '81/tcp': [], '82/tcp': [
                {'HostIp': '0.0.0.0', 'HostPort': '1'},
                {'HostIp': '::', 'HostPort': '1'}], '83/tcp': [
                {'HostIp': '0.0.0.0', 'HostPort': '2'}]}}}
        self.assertEqual('1,2', attributes.resolve('network_tcp_ports', info))

    def test_port_that_is_published_twice(self):
        info = {'HostConfig': {'NetworkMode': 'default'}, 'NetworkSettings': {
            'Ports': {'80/tcp': [
                {'HostIp': '0.0.0.0', 'HostPort': '1'},
                {'HostIp': '0.0.0.0', 'HostPort': '2'},
                {'HostIp': '::', 'HostPort': '1'}]}}}
        self.assertEqual('1,2', attributes.resolve('network_tcp_ports', info))
