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


import contextlib
from unittest import mock

from nova import exception as nova_exception

from novadocker.virt.docker import networkops
from tests import base
from tests.contract import network_contract
from tests.fakes import kernel
from tests.fakes import ports


class FakeKernelTest(network_contract.NetworkContract, base.TestCase):
    """What the real kernel was found to do, done by the fake."""

    bridge = 'br-userspace'

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(kernel.FakeKernel())
        self.kernel.kinds[self.bridge] = 'tun'
        self.networks = networkops.NetworkOps(None)
        self.sandboxes = 0

    def new_sandbox(self):
        self.sandboxes += 1
        return network_contract.sandbox_of(
            self.sandboxes, '/var/run/docker/netns/%012x' % self.sandboxes,
            '/var/lib/docker')

    def end(self, sandbox):
        self.kernel.end_namespace(sandbox.netns_path)

    def seen(self, sandbox):
        return {name: network_contract.Seen(
            mac=link.mac, mtu=link.mtu, addresses=frozenset(link.addresses),
            routes=frozenset(link.routes),
            checksum_offload=link.checksum_offload) for name, link
            in self.kernel.interfaces(sandbox.netns_path).items()}

    def written(self, sandbox):
        servers, _search = self.kernel.files[sandbox.resolv_conf_path]
        return list(servers), {
            address: list(names) for address, names
            in self.kernel.files[sandbox.hosts_path]}

    def netns_target(self, link):
        return self.kernel.netns_links.get(link)

    def connected(self):
        return set(self.kernel.ports)

    def plugged(self):
        return self.connected(), set(self.kernel.links)

    def master(self, device):
        return self.kernel.links[device].master

    def meddle(self, sandbox, name, address, route):
        link = self.kernel.interfaces(sandbox.netns_path)[name]
        link.addresses += (address,)
        link.routes += (route,)

    def test_state_is_the_same_after_as_before(self):
        before, vifs = self.kernel.state(), [self.ipv4_port()]
        self.plug(vifs, self.new_sandbox())
        self.assertNotEqual(before, self.kernel.state())
        self.networks.unplug_all(self.instance, vifs)
        self.assertEqual(before, self.kernel.state())

    def test_failure_at_each_step_can_be_taken_back(self):
        before = self.kernel.state()
        vifs = [self.ipv4_port(1), self.ipv4_port(
            2, details={'ovs_hybrid_plug': True})]
        for verb in ('link_namespace', 'link_kind', 'list_interfaces',
                     'build_interface', 'set_master', 'prune_interface',
                     'write_name_service'):
            self.kernel.fail_next(verb, OSError(5, 'injected'))
            err = self.assertRaises(
                nova_exception.VirtualInterfaceCreateException,
                self.networks.plug_all, self.instance, vifs,
                self.new_sandbox())
            self.assertIn('injected', err.format_message(), verb)
            self.networks.unplug_all(self.instance, vifs)
            self.assertEqual(before, self.kernel.state(), verb)

    def test_unplug_goes_on_after_an_error_and_tells_of_it(self):
        vifs = [self.ipv4_port(1), self.ipv4_port(2)]
        self.plug(vifs, self.new_sandbox())
        self.kernel.fail_next('unplug', kernel.plug_error('no database'))
        err = self.assertRaises(
            nova_exception.VirtualInterfaceUnplugException,
            self.networks.unplug_all, self.instance, vifs)
        self.assertIn('no database', err.format_message())
        self.assertEqual(({vifs[0]['devname']}, set()), self.plugged())

    def test_switch_that_keeps_a_port_without_a_word(self):
        """As os-vif does when the database refuses."""
        self.plug([self.ipv4_port()], self.new_sandbox())
        with mock.patch('os_vif.unplug'):
            err = self.assertRaises(
                nova_exception.VirtualInterfaceUnplugException,
                self.networks.unplug_all, self.instance, [self.ipv4_port()])
        self.assertIn('still has port a0000001', err.format_message())

    def test_server_without_ports_needs_no_switch(self):
        with mock.patch('vif_plug_ovs.ovsdb.api.get_instance',
                        side_effect=Exception('refused')):
            with self.assertLogs(networkops.LOG.name, 'WARNING') as logged:
                self.plug([], self.new_sandbox())
                self.networks.unplug_all(self.instance, [])
            self.assertIn('refused', logged.output[0])
            self.assertRaisesRegex(
                networkops.PlugFailed, 'refused', self.plug,
                [self.ipv4_port()], self.new_sandbox())
            self.assertRaisesRegex(
                nova_exception.VirtualInterfaceUnplugException, 'refused',
                self.networks.unplug_all, self.instance, [self.ipv4_port()])
        self.networks.unplug_all(self.instance, [self.ipv4_port()])

    def test_step_that_fails_names_its_port(self):
        vifs = [self.ipv4_port(1), self.ipv4_port(2)]
        sandbox = self.new_sandbox()
        for verb, port in (('build_interface', vifs[0]),
                           ('prune_interface', vifs[0])):
            self.kernel.fail_next(verb, OSError(5, 'injected'))
            self.assertRaisesRegex(
                networkops.PlugFailed, 'port %s: .*injected' % port['id'],
                self.networks.plug_all, self.instance, vifs, sandbox)
        self.plug(vifs, sandbox)
        self.kernel.fail_next('unplug', kernel.plug_error('injected'))
        self.assertRaisesRegex(
            networkops.PlugFailed, 'port %s: .*injected' % vifs[1]['id'],
            self.networks.plug_all, self.instance, vifs[:1], sandbox)

    def test_calls_of_a_plug_that_changes_nothing(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port(1),
                                             self.ipv4_port(2)]
        self.plug(vifs, sandbox)
        del self.kernel.calls[:]
        self.networks.plug_all(self.instance, vifs, sandbox)
        self.kernel.calls.remove('link_namespace')
        self.assertEqual(
            ['first_namespace', 'list_interfaces', 'link_kind']
            + 2 * ['build_interface'] + 2 * ['prune_interface']
            + ['write_name_service'], self.kernel.calls)

    def test_bridge_on_the_kernels_datapath_keeps_offload(self):
        self.kernel.kinds[self.bridge] = 'openvswitch'
        sandbox = self.new_sandbox()
        self.plug([self.ipv4_port()], sandbox)
        self.assertTrue(self.seen(sandbox)['eth0'].checksum_offload)

    def test_engine_with_run_time_files_elsewhere(self):
        sandbox = network_contract.sandbox_of(
            1, '/srv/engine/netns/0123456789ab', '/srv/engine', pid=42)
        self.plug([self.ipv4_port()], sandbox)
        self.assertEqual('/proc/42/ns/net', self.netns_target(self.link))

    def test_host_is_prepared_without_a_trace(self):
        before = self.kernel.state()
        self.networks.prepare_host()
        self.assertEqual(before, self.kernel.state())
        self.assertEqual(['initialize', 'start_daemon', 'unplug'],
                         self.kernel.calls)

    def test_host_without_open_vswitch_is_a_warning(self):
        self.kernel.fail_next('unplug', kernel.plug_error('refused'))
        with self.assertLogs(networkops.LOG.name, 'WARNING') as logged:
            self.networks.prepare_host()
        self.assertIn('refused. Check that Open vSwitch runs',
                      logged.output[0])


class _VirtAPI:
    """Neutron, as far as a waiting driver knows it."""

    def __init__(self, outcome=None):
        self.outcome = outcome
        self.awaited = None

    @contextlib.contextmanager
    def wait_for_instance_event(self, instance, event_names, timeout=300,
                                error_callback=None):
        self.awaited = event_names
        yield
        if self.outcome == 'timeout':
            raise nova_exception.InstanceEventTimeout()
        if self.outcome == 'failed':
            error_callback('network-vif-plugged-1', instance)


class WaitUntilWiredTest(base.TestCase):
    def wait(self, outcome=None, *vifs):
        virtapi = _VirtAPI(outcome)
        plugged = []
        with networkops.NetworkOps(virtapi).wait_until_wired(
                ports.instance(None), vifs or [ports.port(1)]):
            plugged.append(True)
        self.assertEqual([True], plugged)
        return virtapi.awaited

    def test_inactive_ports_are_waited_for(self):
        inactive, active = ports.port(1), ports.port(2, active=True)
        self.assertEqual([('network-vif-plugged', inactive['id'])],
                         self.wait(None, inactive, active))

    def test_no_timeout_means_no_wait(self):
        self.flags(vif_plugging_timeout=0)
        self.assertEqual([], self.wait())

    def test_timeout_names_the_ports(self):
        err = self.assertRaises(
            nova_exception.VirtualInterfaceCreateException,
            self.wait, 'timeout')
        self.assertIn(ports.port(1)['id'], err.format_message())

    def test_failure_is_told(self):
        err = self.assertRaises(
            nova_exception.VirtualInterfaceCreateException,
            self.wait, 'failed')
        self.assertIn('network-vif-plugged-1', err.format_message())

    def test_neither_ends_a_build_unless_fatal(self):
        self.flags(vif_plugging_is_fatal=False)
        for outcome in ('timeout', 'failed'):
            self.wait(outcome)
