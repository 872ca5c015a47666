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

"""The driver as nova-compute meets it: start, host, loss of the engine."""

import collections
import fnmatch
import threading
from unittest import mock

from nova.compute import power_state
from nova.compute import provider_tree
from nova import exception as nova_exception
from nova.network import model as network_model
import os_resource_classes as orc
from oslo_utils.fixture import uuidsentinel as uuids

from novadocker.virt.docker import driver
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import hostops
from novadocker.virt.docker import names
from novadocker.virt.docker import networkops
from novadocker.virt.docker import recovery
from tests.unit import driver_case


class StartTest(driver_case.DriverCase):
    def _start(self):
        driver.DockerDriver(self.virtapi).init_host(driver_case.HOST)

    def test_loading_touches_nothing(self):
        self.fake_engine.stop()
        driver.DockerDriver(self.virtapi)

    def test_no_engine(self):
        self.fake_engine.stop()
        error = self.assertRaises(exception.EngineUnavailable, self._start)
        self.assertIn('start Docker Engine', str(error))
        self.assertIn(self.fake_engine.url, str(error))

    def test_engine_that_is_too_old(self):
        self.engine.api_version = '1.40'
        error = self.assertRaises(exception.EngineTooOld, self._start)
        self.assertIn('20.10 or later', str(error))

    def test_no_program_for_the_machine(self):
        self.client.remove_image(names.SANDBOX_IMAGE)
        with mock.patch.dict(self.engine.information,
                             {'Architecture': 's390x'}):
            error = self.assertRaises(exception.EngineError, self._start)
        self.assertIn('[docker]sandbox_image', str(error))

    def test_operators_sandbox_image_is_missing(self):
        self.flags(sandbox_image='pause:3', group='docker')
        error = self.assertRaises(exception.ImageNotFound, self._start)
        self.assertIn('pause:3', str(error))

    def test_half_a_key_pair(self):
        self.flags(cert_file='/etc/cert.pem', group='docker')
        error = self.assertRaises(
            nova_exception.InvalidConfiguration, driver.DockerDriver,
            self.virtapi)
        self.assertIn('key_file', str(error))

    def test_plain_tcp_is_warned_of(self):
        self.flags(host_url='tcp://127.0.0.1:1', group='docker')
        with mock.patch.object(hostops.LOG, 'warning') as warning:
            self.assertRaises(exception.EngineUnavailable, self._start)
        self.assertIn('without TLS', warning.call_args.args[0])

    def test_tls_is_verified_unless_told_otherwise(self):
        self.flags(ca_file='/etc/ca.pem', group='docker')
        self.assertEqual(model.Tls(ca_file='/etc/ca.pem', verify=True),
                         driver._tls_options())
        self.flags(api_insecure=True, group='docker')
        self.assertFalse(driver._tls_options().verify)


class HostTest(driver_case.DriverCase):
    def test_node_is_the_host_of_the_service(self):
        self.assertEqual([driver_case.HOST],
                         self.driver.get_available_nodes())
        self.flags(my_ip='192.0.2.1')
        self.assertEqual('192.0.2.1', self.driver.get_host_ip_addr())

    def test_available_resource(self):
        resource = self.driver.get_available_resource(driver_case.HOST)
        info = self.client.info()
        self.assertEqual(info.cpus, resource['vcpus'])
        self.assertEqual('docker', resource['hypervisor_type'])
        self.assertEqual(driver_case.HOST, resource['hypervisor_hostname'])
        self.assertEqual(20010024, resource['hypervisor_version'])
        self.assertEqual([('x86_64', 'docker', 'exe')],
                         resource['supported_instances'])

    def test_versions_of_distributions(self):
        for version, release in (('20.10.24+dfsg1', '20.10.24'),
                                 ('29.0.1', '29.0.1'), ('24.0.7-ce', '24.0.7'),
                                 ('dev', '0')):
            self.assertEqual(release, hostops._release(version))

    def test_provider_tree(self):
        tree = provider_tree.ProviderTree()
        tree.new_root(driver_case.HOST, uuids.node)
        self.flags(reserved_host_memory_mb=10, cpu_allocation_ratio=4.0)
        self.driver.update_provider_tree(tree, driver_case.HOST)
        inventory = tree.data(driver_case.HOST).inventory
        self.assertEqual(10, inventory[orc.MEMORY_MB]['reserved'])
        self.assertEqual(4.0, inventory[orc.VCPU]['allocation_ratio'])
        self.assertGreater(inventory[orc.DISK_GB]['total'], 0)
        self.assertEqual({hostops.TRAIT_DOCKER},
                         tree.data(driver_case.HOST).traits)

    def test_disk_limit_on_xfs_takes_project_quotas(self):
        Mount = collections.namedtuple('Mount', 'mountpoint opts')
        status = {'Driver': 'overlay2', 'DockerRootDir': '/srv/docker',
                  'DriverStatus': [['Backing Filesystem', 'xfs']]}
        for opts, expected in (('rw,prjquota', True), ('rw,pquota', True),
                               ('rw,noquota', False)):
            mounts = [Mount('/', 'rw,pquota'), Mount('/srv', opts),
                      Mount('/srv/docker-other', 'rw,pquota')]
            with mock.patch.dict(self.engine.information, status), \
                    mock.patch('psutil.disk_partitions',
                               return_value=mounts):
                engine = self.driver._host.refresh()
            self.assertEqual(expected, engine.limits_root_disk, opts)

    def test_disk_limit_is_a_trait(self):
        tree = provider_tree.ProviderTree()
        tree.new_root(driver_case.HOST, uuids.node)
        with mock.patch.dict(self.engine.information, {'Driver': 'btrfs'}):
            self.driver.update_provider_tree(tree, driver_case.HOST)
        self.assertIn(hostops.TRAIT_ROOT_DISK_LIMIT,
                      tree.data(driver_case.HOST).traits)
        self.driver.update_provider_tree(tree, driver_case.HOST)
        self.assertNotIn(hostops.TRAIT_ROOT_DISK_LIMIT,
                         tree.data(driver_case.HOST).traits)

    def test_foreign_containers_are_no_servers(self):
        self.spawn()
        before = len(self.fake_engine.calls)
        self.client.create(model.ContainerSpec(
            name='web', image=names.SANDBOX_IMAGE, network_mode='none',
            labels={names.LABEL_UUID: uuids.foreign,
                    names.LABEL_HOST: 'another-host'}))
        del self.fake_engine.calls[before:]
        self.assertEqual([uuids.server], self.driver.list_instance_uuids())
        self.assertEqual(['instance-00000001'], self.driver.list_instances())
        self.assertEqual(1, self.driver.get_num_instances())
        self.assertEqual(3, len(self.fake_engine.calls[before:]))


class LostEngineTest(driver_case.DriverCase):
    """A lost engine is never taken for lost servers."""

    def test_every_look_raises_the_same(self):
        instance = self.spawn()
        self.fake_engine.stop()
        for look in (lambda: self.driver.get_info(instance, use_cache=False),
                     lambda: self.driver.instance_exists(instance),
                     self.driver.list_instance_uuids,
                     self.driver.get_num_instances):
            self.assertRaises(exception.EngineUnavailable, look)
        self.fake_engine.start()
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())

    def test_delete_without_engine_fails_and_can_be_repeated(self):
        instance = self.spawn()
        self.fake_engine.stop()
        self.assertRaises(
            exception.EngineUnavailable, self.driver.destroy, self.context,
            instance, self.network_info)
        self.assertEqual({}, self.kernel.state()['ports'])
        self.fake_engine.start()
        self.driver.destroy(self.context, instance, self.network_info)
        self.assertEqual([], self.driver.list_instance_uuids())


class PowerTest(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.server = self.spawn()

    def _state(self):
        return self.driver.get_info(self.server, use_cache=False).state

    def _workload(self):
        return self.client.get_container(names.workload(uuids.server))

    def test_one_list_call_answers_for_all_servers(self):
        others = [self.spawn(self.instance(getattr(uuids, name)),
                             network_info=[]) for name in 'abc']
        before = len(self.fake_engine.calls)
        for server in (self.server, *others):
            self.assertEqual(power_state.RUNNING,
                             self.driver.get_info(server).state)
        self.assertEqual([('GET', '/containers/json')],
                         self.fake_engine.calls[before:])

    def test_unknown_server(self):
        self.assertRaises(
            nova_exception.InstanceNotFound, self.driver.get_info,
            self.instance(uuids.unknown))

    def test_states(self):
        self.assertEqual(power_state.RUNNING, self._state())
        self.driver.pause(self.server)
        self.driver.pause(self.server)
        self.assertEqual(power_state.PAUSED, self._state())
        self.driver.unpause(self.server)
        self.driver.unpause(self.server)
        self.driver.power_off(self.server, timeout=5)
        self.driver.power_off(self.server, timeout=5)
        self.assertEqual(power_state.SHUTDOWN, self._state())

    def test_power_off_waits_as_long_as_nova_says(self):
        self.driver.power_off(self.server, timeout=17)
        self.assertEqual([17], self.engine.get(
            names.workload(uuids.server)).stop_timeouts)

    def test_power_off_of_a_paused_server_lets_it_shut_down(self):
        self.driver.pause(self.server)
        self.driver.power_off(self.server, timeout=5)
        self.assertEqual(power_state.SHUTDOWN, self._state())

    def test_power_off_that_the_engine_refuses(self):
        self.fake_engine.fail_next('POST', '/containers/*/stop', 500)
        self.assertRaises(nova_exception.InstancePowerOffFailure,
                          self.driver.power_off, self.server)

    def test_failed_start_loses_nothing(self):
        self.driver.power_off(self.server)
        before = self._workload().id
        self.kernel.fail_next('build_interface', OSError('injected'))
        self.assertRaises(networkops.PlugFailed, self.driver.power_on,
                          self.context, self.server, self.network_info)
        self.assertEqual(before, self._workload().id)
        self.driver.power_on(self.context, self.server, self.network_info)
        self.assertEqual(power_state.RUNNING, self._state())

    def test_soft_reboot_falls_back_to_hard(self):
        self.fake_engine.fail_next('POST', '/containers/*/stop', 500)
        self.driver.reboot(self.context, self.server, self.network_info,
                           'SOFT')
        self.assertEqual(power_state.RUNNING, self._state())

    def test_soft_reboot_without_engine_does_not_try_again(self):
        for nth, method, pattern in ((1, 'POST', '/containers/*/stop'),
                                     (1, 'GET', '/containers/json'),
                                     (2, 'GET', '/containers/json'),
                                     (1, 'POST', '/containers/*/start')):
            before = len(self.fake_engine.calls)
            self.fake_engine.drop_next(method, pattern, nth=nth)
            self.assertRaises(
                exception.EngineUnavailable, self.driver.reboot,
                self.context, self.server, self.network_info, 'SOFT')
            # The one that was dropped is the last.
            last, path = self.fake_engine.calls[-1]
            self.assertEqual(method, last)
            self.assertTrue(fnmatch.fnmatch(path, pattern), path)
            stops = [path for _method, path in self.fake_engine.calls[before:]
                     if path.endswith('/stop')]
            self.assertLessEqual(len(stops), 1)
            self.driver.power_on(self.context, self.server,
                                 self.network_info)

    def test_host_boot(self):
        """All containers are dead, and namespaces are new."""
        self.client.kill(names.workload(uuids.server))
        self.client.kill(names.sandbox(uuids.server))
        before = len(self.kernel.calls)
        self.driver.resume_state_on_host_boot(
            self.context, self.server, self.network_info, None)
        self.assertEqual(power_state.RUNNING, self._state())
        sandbox = self.client.get_container(names.sandbox(uuids.server))
        self.assertEqual(
            {'eth0'}, set(self.kernel.interfaces(sandbox.netns_path)))
        # Open vSwitch has to forget the device that is gone.
        calls = self.kernel.calls[before:]
        self.assertLess(calls.index('unplug'), calls.index('plug'))

    def test_replug_at_service_start(self):
        self.kernel.links.clear()
        self.driver.plug_vifs(self.server, self.network_info)
        self.assertEqual(1, len(self.kernel.links))
        self.driver.unplug_vifs(self.server, self.network_info)
        self.assertEqual({}, self.kernel.links)
        self.driver.power_off(self.server)
        self.driver.plug_vifs(self.server, self.network_info)
        self.assertEqual({}, self.kernel.links)

    def test_ports_that_nova_forgot_stay_at_service_start(self):
        before = self.kernel.state()
        self.driver.plug_vifs(self.server, network_model.NetworkInfo())
        self.assertEqual(before, self.kernel.state())

    def test_rebinding_that_fails_half_way(self):
        """The server keeps its container under its own name."""
        self.client.remove(names.sandbox(uuids.server))
        before = self._workload()
        self.fake_engine.fail_next('POST', '/containers/create', 500, nth=2)
        self.assertRaises(
            exception.EngineError, self.driver.power_on, self.context,
            self.server, self.network_info)
        self.assertEqual(before.id, self._workload().id)
        self.driver.power_on(self.context, self.server, self.network_info)
        self.assertEqual(power_state.RUNNING, self._state())

    def test_data_is_kept_when_nova_says_so(self):
        before = self._workload().id
        self.driver.destroy(self.context, self.server, self.network_info,
                            destroy_disks=False)
        after = self._workload()
        self.assertEqual((before, model.EXITED), (after.id, after.state))
        self.assertEqual({}, self.kernel.state()['links'])
        self.driver.cleanup(self.context, self.server, self.network_info)
        self.assertFalse(self.driver.instance_exists(self.server))

    def test_removal_that_somebody_else_began(self):
        self.fake_engine.fail_next(
            'DELETE', '/containers/*', 409,
            'removal of container is already in progress')
        somebody = threading.Timer(0.5, self.client.remove,
                                   [self._workload().id])
        somebody.start()
        self.addCleanup(somebody.join)
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assertEqual([], self.driver.list_instance_uuids())

    def test_removal_that_never_ends(self):
        self.fake_engine.fail_next(
            'DELETE', '/containers/*', 409,
            'removal of container is already in progress')
        with mock.patch.object(recovery, '_REMOVAL_TIMEOUT_S', 0.2):
            error = self.assertRaises(
                exception.Conflict, self.driver.destroy, self.context,
                self.server, self.network_info)
        self.assertIn('not removed in time', str(error))
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assertEqual([], self.driver.list_instance_uuids())


class StartAgainTest(driver_case.DriverCase):
    def test_start_that_the_runtime_loses_once(self):
        for nth in (1, 2):
            self.fake_engine.fail_next(
                'POST', '/containers/*/start', 500,
                'cannot start a stopped process: unknown', nth=nth)
            instance = self.spawn()
            self.assertEqual(power_state.RUNNING, self.driver.get_info(
                instance, use_cache=False).state)
            self.driver.destroy(self.context, instance, self.network_info)


class RefusalTest(driver_case.DriverCase):
    def test_live_migration(self):
        self.assertRaises(
            nova_exception.MigrationPreCheckError,
            self.driver.check_can_live_migrate_destination, self.context,
            self.instance(), None, None)

    def test_crash_dump(self):
        self.assertRaises(nova_exception.TriggerCrashDumpNotSupported,
                          self.driver.trigger_crash_dump, self.instance())

    def test_shared_storage(self):
        self.assertFalse(self.driver.instance_on_disk(self.instance()))
