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


"""NetworkOps on a real kernel, the real os-vif and a real Open vSwitch."""

import contextlib
import dataclasses
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from unittest import mock

import fixtures
from nova import utils
import testtools

import novadocker.privileged
from novadocker.privileged import netlink
from novadocker.virt.docker import names
from novadocker.virt.docker import networkops
from novadocker.virt.docker import switch
from tests import base
from tests.contract import network_contract
from tests.fakes import ports
from tests.functional import ovs
from tests.functional import waiting

# The window is kept small, as the switch in userspace drops what does not fit
# into its buffer of some hundred KiB.
_LISTENER = """
import hashlib, socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
received = hashlib.sha256()
with socket.create_server((sys.argv[1], 7000), family=family) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    print('listening', flush=True)
    connection, _peer = server.accept()
    with connection:
        for block in iter(lambda: connection.recv(65536), b''):
            received.update(block)
print(received.hexdigest())
"""
_SENDER = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), timeout=20) as target:
    target.sendall(sys.stdin.buffer.read())
"""


class _Network(base.TestCase):
    """One switch, and namespaces that a sleeping process holds."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        host = ovs.PrivateHost()
        host.setUp()
        cls.addClassCleanup(host.cleanUp)
        cls.switch = host.switch
        cls.bridge = host.switch.bridge
        cls.networks = networkops.NetworkOps(mock.Mock())
        cls.networks.prepare_host()

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path

    def new_sandbox(self):
        process = subprocess.Popen(['unshare', '--net', 'sleep', '600'])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        own = os.readlink('/proc/self/ns/net')
        path = '/proc/%d/ns/net' % process.pid
        waiting.until(lambda: os.readlink(path) != own, 'a namespace')
        sandbox = network_contract.sandbox_of(
            process.pid, path, self.directory, pid=process.pid)
        self._make_files(sandbox)
        return sandbox

    @staticmethod
    def _make_files(sandbox):
        os.makedirs(os.path.dirname(sandbox.hosts_path))
        with open(sandbox.resolv_conf_path, 'w') as resolv_conf:
            resolv_conf.write('nameserver 192.0.2.53\n' * 20)
        with open(sandbox.hosts_path, 'w') as hosts:
            hosts.write('127.0.0.1\tlocalhost\n')


class NetworkTest(network_contract.NetworkContract, _Network):

    def end(self, sandbox):
        os.kill(sandbox.pid, signal.SIGKILL)
        waiting.until(lambda: not os.path.exists(sandbox.netns_path),
                      'the process lets go of its namespace')

    def seen(self, sandbox):
        links = [link for link in _ip(sandbox, '-d', 'address', 'show')
                 if link.get('linkinfo', {}).get('info_kind') == 'veth']
        routes = (_ip(sandbox, '-4', 'route') + _ip(sandbox, '-6', 'route'))
        return {link['ifname']: network_contract.Seen(
            mac=link['address'], mtu=link['mtu'],
            addresses=_addresses(link),
            routes=_routes(routes, link['ifname']),
            checksum_offload=_offload(sandbox, link['ifname']))
            for link in links}

    def written(self, sandbox):
        with open(sandbox.resolv_conf_path) as resolv_conf:
            servers = [line.split()[1] for line in resolv_conf]
        with open(sandbox.hosts_path) as hosts:
            lines = [line.split() for line in hosts]
        self.assertEqual(['127.0.0.1', 'localhost'], lines[0])
        return servers, {line[0]: line[1:] for line in lines[6:]}

    def netns_target(self, link):
        return os.readlink(link) if os.path.islink(link) else None

    def connected(self):
        return set(self.switch.ports())

    def plugged(self):
        return self.connected(), {
            name for _index, name in socket.if_nameindex()
            if name.startswith(('tap', 'qbr', 'qvb', 'qvo'))}

    def meddle(self, sandbox, name, address, route):
        destination, gateway = route
        for command in (
                ('address', 'add', address, 'dev', name),
                ('route', 'add', destination, 'via', gateway, 'dev', name)):
            subprocess.run([*_enter(sandbox), 'ip', *command], check=True)

    def master(self, device):
        return _show('link', device)['master']

    def test_switch_knows_whose_port_it_is(self):
        vif = self.ipv4_port()
        self.plug([vif], self.new_sandbox())
        known = self.switch.vsctl('get', 'Interface', vif['devname'],
                                  'external_ids')
        for value in (vif['id'], vif['address'], self.instance.uuid):
            self.assertIn(value, known)

    def test_bridge_keeps_its_datapath_when_neutron_does_not_tell(self):
        self.plug([self.ipv4_port()], self.new_sandbox())
        self.assertEqual('netdev', self.switch.vsctl(
            'get', 'Bridge', self.bridge, 'datapath_type'))

    def test_host_end_has_no_address_of_its_own(self):
        vif = self.ipv4_port()
        self.plug([vif], self.new_sandbox())
        self.assertEqual([], _show('address', vif['devname'])['addr_info'])

    def test_fixed_ipv6_address_is_usable_at_once(self):
        sandbox = self.new_sandbox()
        self.plug([self.port(1, ports.subnet('2001:db8::/64',
                                             '2001:db8::b'))], sandbox)
        flags = [address for link in _ip(sandbox, 'address', 'show', 'eth0')
                 for address in link['addr_info']
                 if address['local'] == '2001:db8::b']
        self.assertNotIn('tentative', flags[0])

    def test_names_of_a_servers_own_interfaces(self):
        """A server that may make some keeps them, and their routes."""
        sandbox = self.new_sandbox()
        for command in ('link add eth0 type veth peer own1',
                        'link set eth0 up', 'link set own1 up',
                        'address add 192.0.2.1/24 dev eth0',
                        'route add 198.51.100.0/24 via 192.0.2.2 dev eth0'):
            subprocess.run([*_enter(sandbox), 'ip', *command.split()],
                           check=True)
        before = self.seen(sandbox)
        self.plug([self.ipv4_port()], sandbox)
        seen = self.seen(sandbox)
        self.assertEqual({'10.0.0.11/24'}, seen.pop('eth1').addresses)
        self.assertEqual(before, seen)

    def test_interface_that_the_server_renamed(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port(1),
                                             self.ipv4_port(2)]
        self.plug(vifs[:1], sandbox)
        for command in ('link set eth0 down', 'link set eth0 name lan'):
            subprocess.run([*_enter(sandbox), 'ip', *command.split()],
                           check=True)
        self.plug(vifs, sandbox)
        self.assertEqual({'lan', 'eth1'}, set(self.seen(sandbox)))
        self.assertIn(('0.0.0.0/0', '10.0.0.1'),
                      self.seen(sandbox)['lan'].routes)

    @testtools.skipUnless(utils.concurrency_mode_threading(),
                          'runs privileged code in its own process, which is '
                          'never one on eventlet')
    def test_plugging_again_writes_nothing(self):
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port()]
        self.plug(vifs, sandbox)
        written = self.switch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg')
        calls = self._recorded_netlink()
        self.networks.plug_all(self.instance, vifs, sandbox)
        self.assertEqual(
            [], [call for call in calls if call[1:] not in ((), ('get',))])
        self.assertEqual(17, len(calls))
        self.assertEqual(written, self.switch.vsctl(
            'get', 'Open_vSwitch', '.', 'next_cfg'))

    def test_bridge_of_a_ports_own(self):
        self.flags(per_port_bridge=True, group='os_vif_ovs')
        sandbox, vifs = self.new_sandbox(), [self.ipv4_port()]
        before = self.switch.vsctl('list-br'), self.plugged()
        for _again in range(2):
            self.plug(vifs, sandbox)
            self.assertEqual({'eth0'}, set(self.seen(sandbox)))
            self.assertEqual({'ibp' + vifs[0]['id']}, self.connected())
        self.networks.unplug_all(self.instance, [])
        self.assertEqual(before, (self.switch.vsctl('list-br'),
                                  self.plugged()))

    def test_ports_by_both_ways_to_the_database(self):
        self.plug([self.ipv4_port()], self.new_sandbox())
        native = self.networks._switch.ports(self.instance)
        self.flags(ovsdb_interface='vsctl', group='os_vif_ovs',
                   ovsdb_connection=self.switch.connection)
        self.assertEqual(native, switch.Switch().ports(self.instance))
        self.assertEqual([self.ipv4_port()['devname']],
                         [port.name for port in native])

    def _recorded_netlink(self):
        """Verbs of pyroute2, each with its command, from now on.

        Privileged code runs in this process then.
        """
        calls = []
        connected = netlink.connected

        @contextlib.contextmanager
        def recorded(what):
            with connected(what) as socket:
                yield _Recorder(socket, calls)

        # pyroute2 looks for libc by os.uname, which Nova's base class forbids.
        self.useFixture(fixtures.MockPatch(
            'ctypes.util.find_library', return_value=None))
        novadocker.privileged.ctxt.set_client_mode(False)
        self.addCleanup(novadocker.privileged.ctxt.set_client_mode, True)
        self.useFixture(fixtures.MockPatchObject(
            netlink, 'connected', recorded))
        return calls

    def test_default_route_is_there_all_the_time(self):
        def vifs(*addresses, gateway='10.0.0.1'):
            return [self.port(number, ports.subnet(
                '10.0.0.0/24', address, gateway=gateway))
                for number, address in enumerate(addresses, 1)]

        sandbox = self.new_sandbox()
        self.plug(vifs('10.0.0.11', '10.0.0.12'), sandbox)
        monitor = self.useFixture(_RouteMonitor(sandbox))
        for wanted in (vifs('10.0.0.13', '10.0.0.12'),
                       vifs('10.0.0.13', '10.0.0.12', gateway='10.0.0.2'),
                       vifs('10.0.0.13', '10.0.0.12', gateway='10.0.0.2')[1:]):
            self.networks.plug_all(self.instance, wanted, sandbox)
        seen = monitor.seen()
        self.assertEqual(
            ['default via 10.0.0.2 dev eth0 proto static',
             'default via 10.0.0.2 dev eth1 proto static'],
            [line for line in seen if 'default' in line])
        self.assertNotIn('10.0.0.11', self.seen(sandbox)['eth1'].addresses)

    def test_server_that_forges_indices(self):
        """Its own veth looks as if it led to another server's device."""
        victim, vif = self.new_sandbox(), self.ipv4_port(7)
        other = ports.instance(
            None, uuid='22222222-0000-4000-8000-000000000000')
        self.addCleanup(self.networks.unplug_all, other, [vif])
        self.networks.plug_all(other, [vif], victim)
        before = self.seen(victim), self.plugged()
        device = _show('link', vif['devname'])
        forger, nested = self.new_sandbox(), self.new_sandbox()
        subprocess.run(
            [*_enter(forger), 'ip', 'link', 'add', 'forged', 'index',
             str(device['link_index']), 'type', 'veth', 'peer', 'x',
             'index', str(device['ifindex']), 'netns', str(nested.pid)],
            check=True)
        self.plug([], forger)
        self.assertEqual(before, (self.seen(victim), self.plugged()))

    def test_device_that_is_no_veth_is_replaced(self):
        sandbox, vif = self.new_sandbox(), self.ipv4_port()
        subprocess.run(['ip', 'tuntap', 'add', vif['devname'], 'mode', 'tap'],
                       check=True)
        self.plug([vif], sandbox)
        self.assertEqual({'eth0'}, set(self.seen(sandbox)))

    def test_files_of_a_container_keep_their_inodes(self):
        sandbox = self.new_sandbox()
        before = [os.stat(path).st_ino for path in
                  (sandbox.resolv_conf_path, sandbox.hosts_path)]
        self.plug([self.ipv4_port()], sandbox)
        self.assertEqual(before, [os.stat(path).st_ino for path in (
            sandbox.resolv_conf_path, sandbox.hosts_path)])

    def test_handle_that_only_the_engine_sees_as_a_namespace(self):
        """As in a service with mounts of its own: an empty file."""
        sandbox = self.new_sandbox()
        directory = '/run/novadocker-test-%d' % os.getpid()
        os.makedirs(directory + '/netns')
        self.addCleanup(shutil.rmtree, directory)
        handle = directory + '/netns/0123456789ab'
        with open(handle, 'w'):
            pass
        self.plug([self.ipv4_port()],
                  dataclasses.replace(sandbox, netns_path=handle))
        self.assertEqual(
            '/proc/%d/ns/net' % sandbox.pid,
            self.netns_target(names.netns_link(self.instance.uuid)))

    def test_files_of_an_engine_with_its_own_user_namespace(self):
        sandbox = self.new_sandbox()
        for path in (sandbox.resolv_conf_path, sandbox.hosts_path):
            os.chown(path, 100000, 100000)
            os.chmod(path, 0o600)
        self.plug([self.ipv4_port()], sandbox)
        self.assertEqual(['10.0.0.2'], self.written(sandbox)[0])


class _Recorder:
    """pyroute2's socket, which tells of what it was asked."""

    def __init__(self, socket, calls):
        self._socket = socket
        self._calls = calls

    def __getattr__(self, name):
        method = getattr(self._socket, name)

        def call(*args, **kwargs):
            self._calls.append((name, *args[:1]))
            return method(*args, **kwargs)
        return call


class _RouteMonitor(fixtures.Fixture):
    """What ``ip monitor`` sees of the IPv4 routes in a namespace."""

    def __init__(self, sandbox):
        super().__init__()
        self._sandbox = sandbox
        self._markers = 0

    def _setUp(self):
        self._lines = []
        process = subprocess.Popen(
            [*_enter(self._sandbox), 'ip', '-4', 'monitor', 'route'],
            stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(
            target=lambda: self._lines.extend(process.stdout), daemon=True)
        reader.start()
        for cleanup in (process.stdout.close, reader.join, process.wait,
                        process.kill):
            self.addCleanup(cleanup)
        self.seen()

    def seen(self) -> list[str]:
        """Everything up to now."""
        waiting.until(self._mark, 'ip monitor listens')
        lines = [line.strip() for line in self._lines]
        del self._lines[:]
        return lines

    def _mark(self) -> bool:
        self._markers += 1
        marker = '203.0.113.%d' % self._markers
        subprocess.run([*_enter(self._sandbox), 'ip', 'route', 'add',
                        marker, 'dev', 'lo'], check=True)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if any(line.startswith(marker + ' ') for line in self._lines):
                return True
            time.sleep(0.02)
        return False


class TrafficTest(_Network):
    """Two servers talk through the bridge in userspace."""

    def setUp(self):
        super().setUp()
        self.servers = [self._server(number) for number in (1, 2)]

    def _server(self, number):
        sandbox = self.new_sandbox()
        instance = ports.instance(
            None, uuid='%08d-0000-4000-8000-000000000000' % number)
        vifs = [ports.port(
            number, ports.subnet('10.0.0.0/24', '10.0.0.%d' % number),
            ports.subnet('2001:db8::/64', '2001:db8::%d' % number),
            bridge=self.bridge)]
        self.addCleanup(self.networks.unplug_all, instance, vifs)
        self.networks.plug_all(instance, vifs, sandbox)
        return dataclasses.replace(sandbox, name=instance.uuid)

    def _transfer(self, address: str, payload: bytes) -> str:
        """:returns: SHA-256 of what arrived"""
        sender, receiver = self.servers
        listener = subprocess.Popen(
            [*_enter(receiver), sys.executable, '-c', _LISTENER, address],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.addCleanup(listener.stdout.close)
        self.assertEqual('listening\n', listener.stdout.readline())
        subprocess.run(
            [*_enter(sender), sys.executable, '-c', _SENDER, address],
            input=payload, check=True, timeout=60)
        return listener.stdout.read().strip()

    def test_tcp_is_intact(self):
        payload = os.urandom(8 * 1024 * 1024)
        for address in ('10.0.0.2', '2001:db8::2'):
            self.assertEqual(hashlib.sha256(payload).hexdigest(),
                             self._transfer(address, payload))

    def test_ip_netns_shows_the_namespace(self):
        for number, server in enumerate(self.servers, 1):
            shown = subprocess.run(
                ['ip', 'netns', 'exec', 'nova-' + server.name,
                 'ip', '-br', 'address', 'show', 'eth0'],
                check=True, capture_output=True, text=True).stdout
            self.assertIn('10.0.0.%d/24' % number, shown)


def _enter(sandbox) -> list[str]:
    return ['nsenter', '--net=' + sandbox.netns_path]


def _ip(sandbox, *arguments: str) -> list[dict]:
    return json.loads(subprocess.run(
        [*_enter(sandbox), 'ip', '-j', *arguments],
        check=True, capture_output=True, text=True).stdout or '[]')


def _show(what: str, device: str) -> dict:
    """A device of the host."""
    return json.loads(subprocess.run(
        ['ip', '-j', what, 'show', 'dev', device],
        check=True, capture_output=True, text=True).stdout)[0]


def _addresses(link: dict) -> frozenset[str]:
    return frozenset(
        '%s/%d' % (address['local'], address['prefixlen'])
        for address in link['addr_info'] if address['scope'] == 'global')


def _routes(routes: list[dict], device: str) -> frozenset:
    """Those that someone set, in the words of Neutron; boot has no word."""
    return frozenset(
        (_destination(route), route.get('gateway', ''))
        for route in routes
        if route['dev'] == device and route.get('protocol') != 'kernel')


def _destination(route: dict) -> str:
    if route['dst'] == 'default':
        return '::/0' if ':' in route['gateway'] else '0.0.0.0/0'
    return str(ipaddress.ip_network(route['dst']))


def _offload(sandbox, name: str) -> bool:
    shown = subprocess.run([*_enter(sandbox), 'ethtool', '-k', name],
                           check=True, capture_output=True, text=True).stdout
    return 'tx-checksumming: on' in shown
