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


"""What NetworkOps does to a host, on a real kernel as on the fake one."""

import dataclasses
from unittest import mock

from nova import context
from nova import exception as nova_exception
import os_vif
from os_vif import exception as os_vif_exception

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from novadocker.virt.docker import networkops
from tests.fakes import ports


@dataclasses.dataclass(frozen=True)
class Seen:
    """An interface as it is seen from inside a namespace."""

    mac: str
    mtu: int
    addresses: frozenset[str]
    routes: frozenset[tuple[str, str]]
    checksum_offload: bool


class NetworkContract:
    """Needs of the class it is mixed into:

    * ``networks``, a NetworkOps, and ``bridge``, the name of a bridge on the
      userspace datapath;
    * ``new_sandbox()``, which returns a running one as inspected;
    * ``end(sandbox)``, which lets its last process exit;
    * ``seen(sandbox)``, a dict of Seen by name;
    * ``written(sandbox)``: addresses of name servers, and names by address;
    * ``netns_target(link)``, None if there is no link;
    * ``plugged()``, the names of the switch's ports and of the devices on
      the host, in a comparable form;
    * ``connected()``, the names of the switch's ports;
    * ``master(device)``, the name of the bridge that a device is in;
    * ``meddle(sandbox, name, address, route)``, which adds both to an
      interface, as a server with NET_ADMIN may.
    """

    def setUp(self):
        super().setUp()
        self.instance = ports.instance(context.get_admin_context())
        self.link = names.netns_link(self.instance.uuid)

    def port(self, number, *subnets, **attributes):
        return ports.port(number, *subnets, bridge=self.bridge, **attributes)

    def ipv4_port(self, number=1, **attributes):
        return self.port(number, ports.subnet(
            '10.0.0.0/24', '10.0.0.%d' % (number + 10), gateway='10.0.0.1',
            dns=('10.0.0.2',)), **attributes)

    def plug(self, vifs, sandbox):
        self.addCleanup(self.networks.unplug_all, self.instance, vifs)
        self.networks.plug_all(self.instance, vifs, sandbox)

    def test_port_becomes_an_interface(self):
        sandbox = self.new_sandbox()
        vif = self.port(
            1,
            ports.subnet('10.0.0.0/24', '10.0.0.11', '10.0.0.12',
                         gateway='10.0.0.1',
                         routes=(('172.16.0.0/12', '10.0.0.254'),)),
            ports.subnet('2001:db8::/64', '2001:db8::b',
                         gateway='2001:db8::1'))
        self.plug([vif], sandbox)
        self.assertEqual({'eth0': Seen(
            mac='fa:16:3e:00:00:01', mtu=1442,
            addresses=frozenset({'10.0.0.11/24', '10.0.0.12/24',
                                 '2001:db8::b/64'}),
            routes=frozenset({('172.16.0.0/12', '10.0.0.254'),
                              ('0.0.0.0/0', '10.0.0.1'),
                              ('169.254.169.254/32', ''),
                              ('::/0', '2001:db8::1')}),
            checksum_offload=False)}, self.seen(sandbox))
        self.assertEqual({vif['devname']}, self.connected())
        self.assertEqual(sandbox.netns_path, self.netns_target(self.link))

    def test_gateway_outside_of_the_subnet(self):
        sandbox = self.new_sandbox()
        self.plug([self.port(
            1, ports.subnet('10.0.0.5/32', '10.0.0.5', gateway='192.0.2.1'),
            ports.subnet('2001:db8::5/128', '2001:db8::5',
                         gateway='2001:db8:1::1'))], sandbox)
        self.assertLess(
            {('0.0.0.0/0', '192.0.2.1'), ('::/0', '2001:db8:1::1')},
            self.seen(sandbox)['eth0'].routes)

    def test_two_ports_on_one_network(self):
        sandbox = self.new_sandbox()
        self.plug([self.ipv4_port(1), self.ipv4_port(2)], sandbox)
        seen = self.seen(sandbox)
        self.assertEqual({'10.0.0.11/24'}, seen['eth0'].addresses)
        self.assertEqual({'10.0.0.12/24'}, seen['eth1'].addresses)
        self.assertIn(('0.0.0.0/0', '10.0.0.1'), seen['eth0'].routes)
        self.assertEqual(frozenset(), seen['eth1'].routes)

    def test_server_without_ports(self):
        sandbox = self.new_sandbox()
        self.plug([], sandbox)
        self.assertEqual({}, self.seen(sandbox))
        self.assertEqual(sandbox.netns_path, self.netns_target(self.link))

    def test_name_service(self):
        sandbox = self.new_sandbox()
        self.plug([self.ipv4_port()], sandbox)
        self.assertEqual((['10.0.0.2'], {'10.0.0.11': ['web']}),
                         self.written(sandbox))

    def test_no_name_servers_of_the_host(self):
        sandbox = self.new_sandbox()
        self.plug([self.port(1, ports.subnet('10.0.0.0/24', '10.0.0.11'))],
                  sandbox)
        self.assertEqual([], self.written(sandbox)[0])

    def test_plugging_again_changes_nothing(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, sandbox)
        before = self.seen(sandbox), self.plugged()
        with mock.patch('os_vif.plug') as plug:
            self.networks.plug_all(self.instance, vifs, sandbox)
        self.assertEqual(before, (self.seen(sandbox), self.plugged()))
        plug.assert_not_called()

    def test_interface_keeps_its_name_when_the_one_before_it_is_gone(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port(1),
                                             self.ipv4_port(2)]
        self.plug(vifs, sandbox)
        self.networks.plug_all(self.instance, vifs[1:], sandbox)
        self.assertEqual({'eth1'}, set(self.seen(sandbox)))
        self.assertEqual({vifs[1]['devname']}, self.connected())
        self.assertIn(('0.0.0.0/0', '10.0.0.1'),
                      self.seen(sandbox)['eth1'].routes)

    def test_new_interface_takes_the_lowest_free_name(self):
        sandbox, vifs = self.new_sandbox(), [
            self.ipv4_port(number) for number in range(1, 5)]
        self.plug(vifs[:3], sandbox)
        self.networks.plug_all(self.instance, vifs[1:], sandbox)
        self.assertEqual(
            {'eth1': vifs[1]['address'], 'eth2': vifs[2]['address'],
             'eth0': vifs[3]['address']},
            {name: seen.mac for name, seen in self.seen(sandbox).items()})
        self.assertEqual({vif['devname'] for vif in vifs[1:]},
                         self.connected())

    def test_address_of_a_port_was_changed(self):
        sandbox = self.new_sandbox()
        for addresses, addresses6 in (
                (('10.0.0.11',), ('2001:db8::11',)),
                (('10.0.0.12',), ('2001:db8::12',)),
                (('10.0.0.12', '10.0.0.13'), ('2001:db8::13',)),
                (('10.0.0.13',), ('2001:db8::12', '2001:db8::13'))):
            self.plug([self.port(
                1, ports.subnet('10.0.0.0/24', *addresses,
                                gateway='10.0.0.1'),
                ports.subnet('2001:db8::/64', *addresses6,
                             gateway='2001:db8::1'))], sandbox)
            seen = self.seen(sandbox)['eth0']
            self.assertEqual(
                {ip + '/24' for ip in addresses}
                | {ip + '/64' for ip in addresses6}, seen.addresses)
            self.assertEqual(
                {('0.0.0.0/0', '10.0.0.1'), ('169.254.169.254/32', ''),
                 ('::/0', '2001:db8::1')}, seen.routes)

    def test_subnet_of_a_port_was_changed(self):
        sandbox = self.new_sandbox()
        for cidr, ip, gateway, cidr6, ip6, gateway6 in (
                ('10.0.0.0/24', '10.0.0.11', '10.0.0.1',
                 '2001:db8::/64', '2001:db8::11', '2001:db8::1'),
                ('10.0.0.0/16', '10.0.0.11', '10.0.1.1',
                 '2001:db8::/48', '2001:db8::11', '2001:db8:0:1::1'),
                ('192.0.2.0/24', '192.0.2.11', '192.0.2.1',
                 '2001:db8:2::/64', '2001:db8:2::11', '2001:db8:2::1')):
            self.plug([self.port(
                1, ports.subnet(cidr, ip, gateway=gateway),
                ports.subnet(cidr6, ip6, gateway=gateway6))], sandbox)
            seen = self.seen(sandbox)['eth0']
            self.assertEqual(
                {ip + cidr[-3:], ip6 + cidr6[-3:]}, seen.addresses)
            self.assertEqual(
                {('0.0.0.0/0', gateway), ('169.254.169.254/32', ''),
                 ('::/0', gateway6)}, seen.routes)

    def test_routes_of_a_subnet_were_changed(self):
        sandbox = self.new_sandbox()
        for gateway, host_route in (
                ('10.0.0.1', ('172.16.0.0/12', '10.0.0.9')),
                ('10.0.0.2', ('172.16.0.0/12', '10.0.0.8')),
                ('10.0.0.2', ('172.17.0.0/16', '10.0.0.8')),
                (None, ('172.17.0.0/16', '0.0.0.0'))):
            self.plug([self.port(1, ports.subnet(
                '10.0.0.0/24', '10.0.0.11', gateway=gateway,
                routes=(host_route,)))], sandbox)
            destination, hop = host_route
            expected = {(destination, hop.replace('0.0.0.0', '')),
                        ('169.254.169.254/32', '')}
            if gateway:
                expected.add(('0.0.0.0/0', gateway))
            self.assertEqual(expected, self.seen(sandbox)['eth0'].routes)

    def test_default_route_moves_with_the_gateway(self):
        sandbox = self.new_sandbox()
        default = {('0.0.0.0/0', '10.0.0.1')}
        for first, second, owner in (
                ('10.0.0.1', '10.0.0.1', 'eth0'), (None, '10.0.0.1', 'eth1'),
                ('10.0.0.1', '10.0.0.1', 'eth0')):
            self.plug([
                self.port(number, ports.subnet(
                    '10.0.0.0/24', '10.0.0.%d' % number, gateway=gateway))
                for number, gateway in ((11, first), (12, second))], sandbox)
            self.assertEqual(
                [owner], [name for name, seen in self.seen(sandbox).items()
                          if default & seen.routes])

    def test_mtu_and_mac_address_were_changed(self):
        sandbox, vif = self.new_sandbox(), self.ipv4_port()
        self.plug([vif], sandbox)
        before = self.seen(sandbox)['eth0']
        changed = self.ipv4_port(mtu=1400)
        changed['address'] = 'fa:16:3e:99:99:99'
        self.plug([changed], sandbox)
        self.assertEqual(
            dataclasses.replace(before, mtu=1400, mac='fa:16:3e:99:99:99'),
            self.seen(sandbox)['eth0'])

    def test_what_a_server_added_to_its_port_goes(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, sandbox)
        before = self.seen(sandbox)
        self.meddle(sandbox, 'eth0', '10.0.0.99/24',
                    ('203.0.113.0/24', '10.0.0.1'))
        self.assertNotEqual(before, self.seen(sandbox))
        self.networks.plug_all(self.instance, vifs, sandbox)
        self.assertEqual(before, self.seen(sandbox))

    def test_port_that_neutron_deleted_goes_at_the_next_plug(self):
        sandbox, vifs = self.new_sandbox(), [
            self.ipv4_port(1),
            self.ipv4_port(2, details={'ovs_hybrid_plug': True})]
        before = self.plugged()
        self.plug(vifs, sandbox)
        self.networks.plug_all(self.instance, [], sandbox)
        self.assertEqual(({}, before), (self.seen(sandbox), self.plugged()))

    def test_port_that_neutron_deleted_goes_with_its_server(self):
        before, sandbox = self.plugged(), self.new_sandbox()
        self.plug([self.ipv4_port(1), self.ipv4_port(
            2, details={'ovs_hybrid_plug': True})], sandbox)
        self.networks.unplug_all(self.instance, [])
        self.assertEqual(({}, before), (self.seen(sandbox), self.plugged()))

    def test_ports_of_other_servers_are_left_alone(self):
        sandbox, vif = self.new_sandbox(), self.ipv4_port()
        self.plug([vif], sandbox)
        before = self.seen(sandbox), self.plugged()
        other = ports.instance(
            None, uuid='22222222-0000-4000-8000-000000000000')
        self.networks.plug_all(other, [], self.new_sandbox())
        self.networks.unplug_all(other, [])
        self.assertEqual(before, (self.seen(sandbox), self.plugged()))

    def test_port_of_the_switch_whose_device_is_gone_is_made_again(self):
        old, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, old)
        self.end(old)
        with mock.patch('os_vif.unplug', wraps=os_vif.unplug) as unplug:
            self.networks.plug_all(self.instance, vifs, self.new_sandbox())
        self.assertEqual(1, unplug.call_count)

    def test_host_end_that_leads_elsewhere_is_replaced(self):
        old, new = self.new_sandbox(), self.new_sandbox()
        vifs = [self.ipv4_port()]
        self.plug(vifs, old)
        before = self.seen(old)
        self.networks.plug_all(self.instance, vifs, new)
        self.assertEqual(({}, before), (self.seen(old), self.seen(new)))
        self.assertEqual({vifs[0]['devname']}, self.connected())
        self.assertEqual(new.netns_path, self.netns_target(self.link))

    def test_switch_may_make_taps_of_its_own(self):
        sandbox = self.new_sandbox()
        vif = self.ipv4_port(details={'ovs_create_tap': True})
        self.plug([vif], sandbox)
        self.assertEqual({'eth0'}, set(self.seen(sandbox)))

    def test_hybrid_plug(self):
        before, sandbox = self.plugged(), self.new_sandbox()
        vif = self.ipv4_port(details={'ovs_hybrid_plug': True})
        self.plug([vif], sandbox)
        self.assertEqual({'eth0'}, set(self.seen(sandbox)))
        self.assertEqual({'qvo' + vif['id'][:11]}, self.connected())
        self.assertEqual('qbr' + vif['id'][:11],
                         self.master(vif['devname']))
        self.networks.unplug_all(self.instance, [vif])
        self.assertEqual(before, self.plugged())

    def test_hybrid_plug_is_turned_on_and_off(self):
        """Neutron's firewall driver was changed."""
        before, sandbox = self.plugged(), self.new_sandbox()
        for is_hybrid in (False, True, False):
            vif = self.ipv4_port(details={'ovs_hybrid_plug': is_hybrid})
            self.plug([vif], sandbox)
            self.assertEqual({'eth0'}, set(self.seen(sandbox)))
            self.assertEqual(
                {('qvo' if is_hybrid else 'tap') + vif['id'][:11]},
                self.connected())
        self.networks.unplug_all(self.instance, [vif])
        self.assertEqual(before, self.plugged())

    def test_unplug_leaves_nothing_and_may_be_repeated(self):
        before, sandbox = self.plugged(), self.new_sandbox()
        vifs = [self.ipv4_port(1), self.ipv4_port(2)]
        self.plug(vifs, sandbox)
        self.assertNotEqual(before, self.plugged())
        for _again in range(2):
            self.networks.unplug_all(self.instance, vifs)
            self.assertEqual(({}, before, None),
                             (self.seen(sandbox), self.plugged(),
                              self.netns_target(self.link)))

    def test_unplug_of_what_was_never_plugged(self):
        before = self.plugged()
        self.networks.unplug_all(self.instance, [self.ipv4_port()])
        self.assertEqual(before, self.plugged())

    def test_unplug_without_ports_removes_the_link(self):
        self.plug([], self.new_sandbox())
        self.networks.unplug_all(self.instance, [])
        self.assertIsNone(self.netns_target(self.link))

    def test_failed_port_leaves_nothing(self):
        before, sandbox = self.plugged(), self.new_sandbox()
        vifs = [self.ipv4_port(1), self.ipv4_port(2)]
        plug = os_vif.plug
        error = os_vif_exception.PlugException(vif='...', err='no database')

        def fail_after_the_fact(vif, instance_info):
            plug(vif, instance_info)
            if vif.vif_name == vifs[1]['devname']:
                raise error

        with mock.patch('os_vif.plug', fail_after_the_fact):
            err = self.assertRaises(networkops.PlugFailed, self.plug, vifs,
                                    sandbox)
        self.assertEqual('Cannot plug port %s: no database' % vifs[1]['id'],
                         err.format_message())
        self.assertEqual(({'eth0'}, {vifs[0]['devname']}),
                         (set(self.seen(sandbox)), self.connected()))
        self.networks.unplug_all(self.instance, vifs)
        self.assertEqual((before, None), (self.plugged(),
                                          self.netns_target(self.link)))

    def test_failed_repetition_spares_what_worked(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, sandbox)
        before = self.seen(sandbox), self.plugged()
        with (mock.patch('novadocker.virt.docker.switch.connects',
                         return_value=False),
              mock.patch('os_vif.plug', side_effect=OSError('no database'))):
            self.assertRaises(networkops.PlugFailed, self.networks.plug_all,
                              self.instance, vifs, sandbox)
        self.assertEqual(before, (self.seen(sandbox), self.plugged()))

    def test_unsupported_ports_are_refused_before_anything_is_done(self):
        before, sandbox = self.plugged(), self.new_sandbox()
        for attributes in ({'type': 'vhostuser'}, {'type': 'binding_failed'},
                           {'vnic_type': 'direct'}):
            vifs = [self.ipv4_port(1), self.ipv4_port(2, **attributes)]
            err = self.assertRaises(networkops.PlugFailed, self.plug, vifs,
                                    sandbox)
            self.assertIn("'%s'" % [*attributes.values()][0],
                          err.format_message())
            self.networks.unplug_all(self.instance, vifs)
            self.assertEqual((before, None), (self.plugged(),
                                              self.netns_target(self.link)))

    def test_plug_errors_are_what_nova_gives_up_on(self):
        for expected in (nova_exception.VirtualInterfaceCreateException,
                         nova_exception.VirtualInterfacePlugException):
            self.assertRaises(
                expected, self.networks.plug_all, self.instance,
                [self.ipv4_port(type='unbound')], self.new_sandbox())

    def test_sandbox_that_is_gone(self):
        before, gone = self.plugged(), self.new_sandbox()
        self.end(gone)
        self.assertRaises(networkops.PlugFailed, self.plug,
                          [self.ipv4_port()], gone)
        self.networks.unplug_all(self.instance, [self.ipv4_port()])
        self.assertEqual(before, self.plugged())

    def test_new_namespace_of_a_restarted_sandbox(self):
        old, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, old)
        before = self.seen(old)
        self.end(old)
        new = self.new_sandbox()
        self.networks.plug_all(self.instance, vifs, new)
        self.assertEqual(before, self.seen(new))
        self.assertEqual({vifs[0]['devname']}, self.connected())


def sandbox_of(number: int, netns_path: str, directory: str,
               pid: int = 0) -> model.Container:
    """A container with the files that an engine would give it."""
    container_id = '%064x' % number
    files = '%s/containers/%s' % (directory, container_id)
    return model.Container(
        id=container_id, name='nova-sandbox-%d' % number,
        state=model.RUNNING, image_id='', pid=pid, netns_path=netns_path,
        resolv_conf_path=files + '/resolv.conf', hosts_path=files + '/hosts')
