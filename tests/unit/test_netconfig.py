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


from nova.network import model as network_model

from novadocker.virt.docker import netconfig
from tests import base
from tests.fakes import ports

METADATA = netconfig.Route('169.254.169.254/32')


def default(gateway):
    return netconfig.Route('0.0.0.0/0' if '.' in gateway else '::/0', gateway)


class InterfacesTest(base.TestCase):
    def routes(self, *vifs):
        return [interface.routes for interface in netconfig.interfaces(vifs)]

    def test_everything_of_one_port(self):
        vif = ports.port(1, ports.subnet(
            '10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1',
            routes=(('172.16.0.0/12', '10.0.0.9'),)), mtu=9000)
        self.assertEqual([netconfig.Interface(
            name='eth0', host_name='tapa0000001-00',
            mac='fa:16:3e:00:00:01', mtu=9000, addresses=('10.0.0.5/24',),
            routes=(netconfig.Route('172.16.0.0/12', '10.0.0.9'),
                    default('10.0.0.1'), METADATA),
            checksum_offload=False)], netconfig.interfaces([vif]))

    def test_offload_only_where_the_bridge_is_known_to_manage(self):
        vifs = [ports.port(1, bridge='br-int'), ports.port(2, bridge='br2')]
        self.assertEqual(
            [True, False],
            [interface.checksum_offload for interface
             in netconfig.interfaces(vifs, kernel_bridges=['br-int'])])

    def test_names_follow_the_order_of_ports(self):
        self.assertEqual(
            [('eth0', 'tapa0000007-00'), ('eth1', 'tapa0000002-00')],
            [(interface.name, interface.host_name) for interface in
             netconfig.interfaces([ports.port(7), ports.port(2)])])

    def test_default_route_is_the_first_port_with_a_gateway(self):
        self.assertEqual(
            [(METADATA,), (default('10.2.0.1'),), ()],
            self.routes(
                ports.port(1, ports.subnet('10.1.0.0/24', '10.1.0.5')),
                ports.port(2, ports.subnet('10.2.0.0/24', '10.2.0.5',
                                           gateway='10.2.0.1')),
                ports.port(3, ports.subnet('10.3.0.0/24', '10.3.0.5',
                                           gateway='10.3.0.1'))))

    def test_default_routes_of_both_versions_may_differ_in_port(self):
        self.assertEqual(
            [(default('10.1.0.1'), METADATA), (default('2001:db8::1'),)],
            self.routes(
                ports.port(1, ports.subnet('10.1.0.0/24', '10.1.0.5',
                                           gateway='10.1.0.1')),
                ports.port(2, ports.subnet('2001:db8::/64', '2001:db8::5',
                                           gateway='2001:db8::1'))))

    def test_gateway_that_is_the_prefix_itself(self):
        self.assertEqual(
            [(default('2001:db8::'),)],
            self.routes(ports.port(1, ports.subnet(
                '2001:db8::/64', '2001:db8::5', gateway='2001:db8::'))))

    def test_host_route_for_everything_replaces_the_gateway(self):
        self.assertEqual(
            [(default('10.1.0.2'), METADATA)],
            self.routes(ports.port(1, ports.subnet(
                '10.1.0.0/24', '10.1.0.5', gateway='10.1.0.1',
                routes=(('0.0.0.0/0', '10.1.0.2'),)))))

    def test_host_route_to_metadata_is_honoured_on_any_port(self):
        self.assertEqual(
            [(), (netconfig.Route('169.254.169.254/32', '10.2.0.2'),)],
            self.routes(
                ports.port(1, ports.subnet('10.1.0.0/24', '10.1.0.5')),
                ports.port(2, ports.subnet(
                    '10.2.0.0/24', '10.2.0.5',
                    routes=(('169.254.169.254/32', '10.2.0.2'),)))))

    def test_metadata_is_reached_by_the_first_port_with_ipv4(self):
        self.assertEqual(
            [(), (METADATA,)],
            self.routes(
                ports.port(1, ports.subnet('2001:db8::/64', '2001:db8::5')),
                ports.port(2, ports.subnet('10.1.0.0/24', '10.1.0.5'))))

    def test_metadata_of_dhcp_agents_is_the_routers_to_serve(self):
        """An address on the link would lead past it."""
        self.assertEqual(
            [(default('10.1.0.1'),
              netconfig.Route('169.254.169.254/32', '10.1.0.1'))],
            self.routes(ports.port(1, ports.subnet(
                '10.1.0.0/24', '10.1.0.5', gateway='10.1.0.1',
                dhcp_server='10.1.0.2'))))

    def test_metadata_of_an_isolated_network_is_the_dhcp_agents(self):
        for gateway in (None, '0.0.0.0'):
            self.assertEqual(
                [(netconfig.Route('169.254.169.254/32', '10.1.0.2'),)],
                self.routes(ports.port(1, ports.subnet(
                    '10.1.0.0/24', '10.1.0.5', gateway=gateway,
                    dhcp_server='10.1.0.2'))))

    def test_metadata_on_a_subnet_without_dhcp(self):
        """The router of ML2/OVS serves it; OVN does not serve it at all."""
        self.assertEqual(
            [(default('10.1.0.1'),)],
            self.routes(ports.port(1, ports.subnet(
                '10.1.0.0/24', '10.1.0.5', gateway='10.1.0.1',
                enable_dhcp=False))))

    def test_metadata_by_the_subnet_that_has_dhcp(self):
        self.assertEqual(
            [(netconfig.Route('169.254.169.254/32', '10.2.0.2'),)],
            self.routes(ports.port(
                1, ports.subnet('10.1.0.0/24', '10.1.0.5',
                                enable_dhcp=False),
                ports.subnet('10.2.0.0/24', '10.2.0.5',
                             dhcp_server='10.2.0.2'))))

    def test_ports_that_stay_keep_their_names(self):
        present = {'lo': '', 'eth0': 'tapa0000009-00', 'eth2': '',
                   'eth3': 'tapa0000002-00', 'lan': 'tapa0000003-00'}
        self.assertEqual(
            ['eth0', 'eth3', 'eth1', 'eth4'],
            [interface.name for interface in netconfig.interfaces(
                [ports.port(number) for number in (1, 2, 3, 4)],
                present=present)])

    def test_no_metadata_without_ipv4(self):
        self.assertEqual([()], self.routes(ports.port(1)))

    def test_same_host_route_on_two_ports_is_the_first_ones(self):
        def vif(number):
            return ports.port(number, ports.subnet(
                '10.0.0.0/24', '10.0.0.%d' % number,
                routes=(('172.16.0.0/12', '10.0.0.9'),)))
        self.assertEqual(
            [(netconfig.Route('172.16.0.0/12', '10.0.0.9'), METADATA), ()],
            self.routes(vif(1), vif(2)))

    def test_host_route_on_the_link(self):
        self.assertEqual(
            [(netconfig.Route('172.16.0.0/12'), METADATA)],
            self.routes(ports.port(1, ports.subnet(
                '10.0.0.0/24', '10.0.0.5',
                routes=(('172.16.0.1/12', '0.0.0.0'),)))))

    def test_subnet_without_an_address_of_the_port_gives_nothing(self):
        interface, = netconfig.interfaces([ports.port(1, ports.subnet(
            '10.0.0.0/24', gateway='10.0.0.1'))])
        self.assertEqual(((), ()), (interface.addresses, interface.routes))

    def test_mtu_unless_neutron_tells(self):
        interface, = netconfig.interfaces([ports.port(1, mtu=None)])
        self.assertEqual(1500, interface.mtu)

    def test_network_info_as_neutron_sends_it_over_the_wire(self):
        vifs = network_model.NetworkInfo([ports.port(1, ports.subnet(
            '10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1'))])
        hydrated = network_model.NetworkInfo.hydrate(vifs.json())
        self.assertEqual(netconfig.interfaces(vifs),
                         netconfig.interfaces(hydrated))


class NameServiceTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.vifs = [
            ports.port(1, ports.subnet('10.0.0.0/24', '10.0.0.5',
                                       dns=('10.0.0.2', '10.0.0.3'))),
            ports.port(2, ports.subnet('2001:db8::/64', '2001:db8::5',
                                       dns=('10.0.0.3', '2001:db8::2')))]

    def test_servers_in_order_and_once(self):
        self.assertEqual(
            ('10.0.0.2', '10.0.0.3', '2001:db8::2'),
            netconfig.name_service(self.vifs, 'web').nameservers)

    def test_neutrons_way_to_say_no_servers(self):
        vif = ports.port(1, ports.subnet('10.0.0.0/24', '10.0.0.5',
                                         dns=('0.0.0.0',)))
        self.assertEqual((),
                         netconfig.name_service([vif], 'web').nameservers)

    def test_dhcp_agent_resolves_where_no_server_is_named(self):
        vifs = [ports.port(1, ports.subnet(
            '10.0.0.0/24', '10.0.0.5', dhcp_server='10.0.0.2'))]
        self.assertEqual(('10.0.0.2',), netconfig.name_service(
            vifs, 'web', ['192.0.2.53']).nameservers)

    def test_operators_servers_where_neutron_names_none(self):
        vif = ports.port(1, ports.subnet('10.0.0.0/24', '10.0.0.5'))
        for expected, vifs in ((('192.0.2.53',), [vif]),
                               (('10.0.0.2', '10.0.0.3', '2001:db8::2'),
                                [vif, *self.vifs]), ((), [])):
            self.assertEqual(expected, netconfig.name_service(
                vifs, 'web', ['192.0.2.53']).nameservers)

    def test_none_at_all_if_neutron_says_so(self):
        for dns in ('0.0.0.0', '::'):
            vif = ports.port(1, ports.subnet(
                '10.0.0.0/24', '10.0.0.5', dns=(dns,),
                dhcp_server='10.0.0.2'))
            self.assertEqual((), netconfig.name_service(
                [vif], 'web', ['192.0.2.53']).nameservers)

    def test_every_address_has_the_hosts_name(self):
        self.assertEqual({'10.0.0.5': ('web',), '2001:db8::5': ('web',)},
                         netconfig.name_service(self.vifs, 'web').hosts)

    def test_qualified_name(self):
        service = netconfig.name_service(self.vifs[:1], 'web.example.org')
        self.assertEqual({'10.0.0.5': ('web.example.org', 'web')},
                         service.hosts)
        self.assertEqual(('example.org',), service.search_domains)

    def test_server_without_a_name(self):
        service = netconfig.name_service(self.vifs, None)
        self.assertEqual(({}, ()), (service.hosts, service.search_domains))


class RefusalTest(base.TestCase):
    def test_supported(self):
        self.assertIsNone(netconfig.refusal(ports.port(1)))

    def test_type(self):
        self.assertIn("'vhostuser' is not supported, only 'ovs'",
                      netconfig.refusal(ports.port(1, type='vhostuser')))

    def test_vnic_type(self):
        self.assertIn("'direct' is not supported, only 'normal'",
                      netconfig.refusal(ports.port(1, vnic_type='direct')))

    def test_hybrid_bridge(self):
        self.assertIsNone(netconfig.hybrid_bridge(ports.port(1)))
        self.assertEqual('qbra0000001-00', netconfig.hybrid_bridge(
            ports.port(1, details={'ovs_hybrid_plug': True})))
