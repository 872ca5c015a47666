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

"""A server's life on Docker Engine, the kernel and Open vSwitch."""

import json
import subprocess
import sys
from unittest import mock

from nova import context
from nova import objects
from os_vif import exception as os_vif_exception

from novadocker.virt.docker import limits
from novadocker.virt.docker import names
from novadocker.virt.docker import seccomp
from novadocker.virt.docker import spec
from tests.functional import lifecycle
from tests.functional import nova_case

_MIB = 1024 * 1024

# The first thing that the process does is to look around.
_LOOK_AROUND = ('busybox ip address show eth0; busybox ip route; '
                'busybox cat /etc/resolv.conf /etc/hosts; '
                'busybox hostname; sleep 1000')


_OPEN_PING_SOCKET = """
import os, socket
os.setgroups([])
os.setgid(65535)
os.setuid(65535)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
"""


class LifecycleEngineTest(lifecycle.LifecycleScenarios, nova_case.NovaCase):
    backend_class = nova_case.RealBackend

    def test_network_is_complete_at_the_first_instruction(self):
        server = self.boot(self.add_image(Cmd=['sh', '-c', _LOOK_AROUND]))
        address = server['addresses']['private'][0]
        log = self.driver.get_console_output(
            None, self._instance(server)).decode()
        self.assertIn('inet %s/24' % address['addr'], log)
        self.assertIn('link/ether %s' % address['OS-EXT-IPS-MAC:mac_addr'],
                      log)
        self.assertIn('mtu 1450', log)
        self.assertIn('LOWER_UP', log)
        self.assertIn('default via 192.168.1.1 dev eth0', log)
        self.assertIn('169.254.169.254 dev eth0', log)
        self.assertIn('%s\t%s' % (address['addr'], server[
            'OS-EXT-SRV-ATTR:hostname']), log.replace(' ', '\t'))
        self.assertIn(server['OS-EXT-SRV-ATTR:hostname'], log.split())
        self._delete_all_and_compare(server)

    def _instance(self, server):
        return objects.Instance.get_by_uuid(
            context.get_admin_context(), server['id'])

    def test_address_that_was_changed_in_neutron(self):
        server = self.boot(self.add_image())
        before = server['addresses']['private'][0]['addr']
        port, = [port for port in self.neutron._ports.values()
                 if port['device_id'] == server['id']]
        port['fixed_ips'][0]['ip_address'] = '192.168.1.77'
        server = self._reboot_server(server)
        shown = self._run_inside(server, 'ip', 'address', 'show', 'eth0')
        self.assertIn('inet 192.168.1.77/24', shown)
        self.assertNotIn(before, shown)
        self.assertIn('default via 192.168.1.1 dev eth0',
                      self._run_inside(server, 'ip', 'route'))
        self._delete_all_and_compare(server)

    def test_port_that_was_deleted_in_neutron(self):
        server = self.boot(self.add_image())
        port, = [port for port in self.neutron._ports.values()
                 if port['device_id'] == server['id']]
        self.neutron.delete_port(port['id'])
        server = self._reboot_server(server)
        self.assertEqual({}, server['addresses'])
        self.assertEqual([], self.backend.state()['network']['ports'])
        self.assertNotIn('eth0', self._run_inside(server, 'ip', 'link'))
        self._delete_all_and_compare(server)

    def _run_inside(self, server, *command: str) -> str:
        sandbox = self.backend.inspect(names.sandbox(server['id']))
        return subprocess.check_output(
            ['nsenter', '--net=/proc/%d/ns/net' % sandbox['State']['Pid'],
             *command], text=True)

    def test_any_group_may_ping_without_a_capability(self):
        server = self.boot(self.add_image(), networks='none')
        self.assertEqual('0\t65535\n', self._run_inside(
            server, 'cat', '/proc/sys/net/ipv4/ping_group_range'))
        self._run_inside(server, sys.executable, '-c', _OPEN_PING_SOCKET)
        self._delete_all_and_compare(server)

    def test_limits_and_labels(self):
        server = self.boot(self.add_image(), networks='none')
        answer = self.backend.inspect(names.workload(server['id']))
        limits = answer['HostConfig']
        self.assertEqual(64 * _MIB, limits['Memory'])
        self.assertEqual(64 * _MIB, limits['MemorySwap'])
        self.assertEqual(10 ** 9, limits['NanoCpus'])
        self.assertEqual(1024, limits['CpuShares'])
        self.assertEqual(2048, limits['PidsLimit'])
        self.assertEqual(['ALL'], limits['CapDrop'])
        self.assertEqual(sorted(spec.CAPABILITIES),
                         sorted(limits['CapAdd']))
        profile, privileges = limits['SecurityOpt']
        self.assertEqual('no-new-privileges', privileges)
        with open(seccomp.OURS) as ours:
            self.assertEqual(
                json.load(ours), json.loads(profile.removeprefix('seccomp=')))
        self.assertEqual('no', limits['RestartPolicy']['Name'])
        self.assertFalse(limits['Privileged'])
        self.assertEqual('private', limits['CgroupnsMode'])
        labels = answer['Config']['Labels']
        self.assertEqual(server['id'], labels[names.LABEL_UUID])
        self.assertEqual(server['tenant_id'],
                         labels[names.LABEL_PROJECT_ID])
        self.assertEqual(server['name'], labels[names.LABEL_DISPLAY_NAME])
        self.assertEqual(server['OS-EXT-SRV-ATTR:instance_name'],
                         labels[names.LABEL_NAME])
        self._delete_all_and_compare(server)

    def test_environment_reaches_the_process(self):
        image = self.add_image(properties={
            'os_command_line': 'sh -c "echo $GREETING from $PLACE in $PWD; '
                               'sleep 1000"',
            'docker_environment': '{"GREETING": "hello", "PLACE": "x"}',
            'docker_workdir': '/srv/made'})
        server = self.boot(image, networks='none',
                           metadata={'PLACE': 'metadata'})
        self.assertEqual(
            b'hello from metadata in /srv/made\r\n',
            self.driver.get_console_output(None, self._instance(server)))
        self._delete_all_and_compare(server)

    def test_volumes_of_the_image_are_part_of_its_disk(self):
        server = self.boot(self.add_image(Volumes={'/data/x': {}}),
                           networks='none')
        other = self.add_image(Volumes={'/data/y': {}})
        for path in ('/data/x', '/data/y'):
            workload = self.workload(server)
            self.assertTrue(self.engine_client.path_exists(
                workload.id, path))
            self.assertEqual([], self.backend.inspect(workload.id)['Mounts'])
            server = self._rebuild_server(server, other)
        self._delete_all_and_compare(server)

    def test_as_many_open_files_as_the_engine_grants(self):
        server = self.boot(self.add_image(
            Cmd=['sh', '-c', 'ulimit -Sn; ulimit -Hn; sleep 1000']),
            networks='none')
        soft, hard = map(int, self.driver.get_console_output(
            None, self._instance(server)).split())
        self.assertEqual(1024, soft)
        self.assertIn(hard, limits.NOFILE_LIMITS)
        self.assertEqual(hard, self.driver._host.engine.nofile_limit)
        self._delete_all_and_compare(server)

    def test_port_that_cannot_be_plugged(self):
        error = os_vif_exception.PlugException(vif='VIF', err='no bridge')
        with mock.patch('os_vif.plug', side_effect=error):
            server = self.boot(self.add_image(), expected_state='ERROR')
        self.assertIn('no bridge', server['fault']['message'])
        self._delete_all_and_compare(server)

    def test_failed_spawns_leave_nothing_while_the_server_is_there(self):
        """Nova keeps a server in ERROR until its user deletes it."""
        with mock.patch('os_vif.plug', side_effect=os_vif_exception.
                        PlugException(vif='VIF', err='no bridge')):
            server = self.boot(self.add_image(), expected_state='ERROR')
        self.assertEqual(self.before, self.backend.state())
        self._delete_server(server)
