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

"""Spawn does all, or leaves the host as it was."""

from nova import exception as nova_exception
from nova.network import model as network_model
from oslo_utils.fixture import uuidsentinel as uuids

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.fakes import kernel
from tests.unit import driver_case


class SpawnTest(driver_case.DriverCase):
    def test_network_is_complete_before_the_process_starts(self):
        seen = []

        def look():
            sandbox = self.client.get_container(
                names.sandbox(uuids.server))
            seen.append((
                self.client.get_container(
                    names.workload(uuids.server)).state,
                set(self.kernel.interfaces(sandbox.netns_path)),
                set(self.kernel.files), len(self.kernel.ports)))
            seen.append({sandbox.resolv_conf_path, sandbox.hosts_path})

        self.virtapi.when_wired = look
        self.spawn()
        (state, interfaces, files, ports), expected_files = seen
        self.assertEqual((model.CREATED, {'eth0'}, 1),
                         (state, interfaces, ports))
        self.assertEqual(expected_files, files)
        self.assertEqual([('network-vif-plugged',
                           self.network_info[0]['id'])],
                         self.virtapi.awaited)

    def test_workload_that_must_not_start(self):
        self.spawn(power_on=False)
        workload = self.client.get_container(names.workload(uuids.server))
        self.assertEqual(model.CREATED, workload.state)

    def test_server_that_exists(self):
        self.spawn()
        before = self.state()
        self.assertRaises(nova_exception.InstanceExists, self.spawn)
        self.assertEqual(before, self.state())

    def test_name_taken_by_a_foreign_container(self):
        """It is neither taken for the server nor removed."""
        self.client.load([archives.image('foreign:1')])
        foreign = self.client.create(model.ContainerSpec(
            name=names.workload(uuids.server), image='foreign:1', labels={},
            network_mode='none'))
        before = self.state()
        self.assertRaisesRegex(
            nova_exception.BuildAbortException, 'in use', self.spawn)
        self.driver.destroy(self.context, self.instance(),
                            self.network_info)
        self.assertEqual(before, self.state())
        self.assertFalse(self.driver.instance_exists(self.instance()))
        self.assertEqual([], self.driver.list_instance_uuids())
        self.assertIsNotNone(self.client.find_container(foreign))

    def test_exit_code_and_log_are_in_the_fault(self):
        self.engine.program('sh -c echo ready; sleep 1000', exit_code=7,
                            output=b'cannot bind\n')
        before = self.state()
        error = self.assertRaises(
            nova_exception.BuildAbortException, self.spawn)
        self.assertIn('code 7', str(error))
        self.assertIn('cannot bind', str(error))
        self.assertEqual(before, self.state())

    def test_neutron_never_answers(self):
        self.virtapi.failure = nova_exception.InstanceEventTimeout()
        before = self.state()
        self.assertRaisesRegex(
            nova_exception.BuildAbortException, 'Neutron did not report',
            self.spawn)
        self.assertEqual(before, self.state())

    def test_network_allocation_fails(self):
        """network_info raises when it is first looked at."""
        class Failing(network_model.NetworkInfo):
            def __iter__(self):
                raise nova_exception.PortLimitExceeded()

        before = self.state()
        self.assertRaises(nova_exception.PortLimitExceeded, self.spawn,
                          network_info=Failing())
        self.assertEqual(before, self.state())


class SpawnFailureTest(driver_case.DriverCase):
    """Every call that a spawn makes fails once; nothing stays behind."""

    def _calls_of_a_spawn(self):
        before = len(self.fake_engine.calls)
        self.spawn()
        calls = self.fake_engine.calls[before:]
        self.driver.destroy(self.context, self.instance(),
                            self.network_info)
        self.client.remove_image(names.image_tag(
            self.image, self.glance.show(None, self.image)['checksum']))
        return calls

    def test_each_engine_call(self):
        calls = self._calls_of_a_spawn()
        before = self.state()
        failed = 0
        for position, (method, path) in enumerate(calls):
            pattern = _pattern(path)
            nth = 1 + sum((method, pattern) == (earlier, _pattern(other))
                          for earlier, other in calls[:position])
            for fault in (
                    lambda: self.fake_engine.fail_next(
                        method, pattern, 500, nth=nth),
                    lambda: self.fake_engine.drop_next(
                        method, pattern, nth=nth)):
                fault()
                if path.endswith('/start'):
                    # The client tries a start twice.
                    fault()
                error = self.assertRaises(
                    nova_exception.NovaException, self.spawn)
                self.assertNotIsInstance(
                    error, nova_exception.InstanceNotFound)
                self.assertEqual(before, self.state(), (method, path))
                failed += 1
        self.assertGreater(failed, 20)

    def test_each_network_step(self):
        before = self.state()
        for verb in ('link_namespace', 'link_kind', 'build_interface',
                     'write_name_service'):
            self.kernel.fail_next(verb, OSError('injected'))
            self.assertRaisesRegex(nova_exception.BuildAbortException,
                                   'injected', self.spawn)
            self.assertEqual(before, self.state(), verb)
        self.kernel.fail_next('plug', kernel.plug_error('injected'))
        self.assertRaisesRegex(nova_exception.BuildAbortException,
                               'injected', self.spawn)
        self.assertEqual(before, self.state())


def _pattern(path: str) -> str:
    """A path with the ids that differ from spawn to spawn left open."""
    parts = path.split('/')
    return '/'.join('*' if len(part) == 64 else part for part in parts)
