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

"""What was lost comes back, what was left half done is ended or undone."""

import contextlib
import threading
import types
from unittest import mock

import fixtures
from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from nova import exception as nova_exception
from nova import objects
from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import uuidutils

from novadocker.virt.docker import disksize
from novadocker.virt.docker import driver
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.fakes import crash
from tests.unit import driver_case

DATA = b'what the user wrote'


class RecoveryCase(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        self.flags(start_grace_period=0, group='docker')
        self.flags(shutdown_timeout=1)
        self.server = self.instance()

    def boot(self):
        """A server with a file in it."""
        self.spawn(self.server)
        self.client.put_archive(names.workload(uuids.server), '/',
                                archives.tar({'kept': DATA}))

    def remove(self, name):
        self.client.remove(name(uuids.server))

    def power_on(self):
        self.driver.power_on(self.context, self.server, self.network_info)

    def power_off(self):
        self.driver.power_off(self.server, 1)

    def reboot(self, kind='HARD'):
        self.driver.reboot(self.context, self.server, self.network_info,
                           kind)

    def destroy(self):
        self.driver.destroy(self.context, self.server, self.network_info)

    def rebuild(self):
        """As Nova does it for a driver that leaves it to Nova."""
        self.power_off()
        self.destroy()
        self.spawn(self.server)

    def snapshot(self):
        """Returns the id of an image in Glance."""
        self.server.vm_state = vm_states.ACTIVE
        self.server.task_state = task_states.IMAGE_SNAPSHOT
        image = self.glance.create(None, {
            'id': uuidutils.generate_uuid(), 'status': 'queued',
            'properties': {}})['id']
        self.driver.snapshot(self.context, self.server, image,
                             lambda *args, **kwargs: None)
        return image

    def workload(self):
        found, = self.client.list_containers({
            names.LABEL_UUID: uuids.server,
            names.LABEL_ROLE: names.ROLE_WORKLOAD})
        return found

    def assertRunsWith(self, data):
        """Under its name, with its network, and with these data."""
        workload = self.workload()
        self.assertEqual(
            (names.workload(uuids.server), model.RUNNING),
            (workload.name, workload.state))
        sandbox = self.client.get_container(workload.network_owner)
        self.assertEqual({'eth0'},
                         set(self.kernel.interfaces(sandbox.netns_path)))
        self.assertEqual(data, self.engine.file(workload.id, '/kept'))
        self.assertEqual(power_state.RUNNING,
                         self.driver.get_info(self.server).state)


class CrashTest(RecoveryCase):
    """Every story of a server, struck at each of its steps.

    Then the next verb has to do its work, and deleting the server has to
    leave nothing.
    """

    def setUp(self):
        super().setUp()
        self.crash = self.useFixture(crash.Crash())
        # So that what is there before and after includes the image.
        self.spawn(self.server)
        self.destroy()
        self.before = self.state()

    def _strike_each_step(self, prepare, story, afterwards):
        killed = self._strike(self.crash.killed_before, self._restart,
                              prepare, story, afterwards)
        lost = self._strike(self.crash.answer_lost, lambda: None,
                            prepare, story, afterwards)
        self.assertGreaterEqual(killed, lost)
        self.assertGreater(lost, 2)

    def _strike(self, how, restart, prepare, story, afterwards) -> int:
        step = 0
        struck = True
        while struck:
            step += 1
            prepare()
            with how(step), contextlib.suppress(nova_exception.NovaException):
                story()
            struck = self.crash.struck
            restart()
            with self.subTest(how=how.__name__, step=step):
                afterwards()
                self._delete()
        return step - 1

    def _restart(self):
        self.driver = driver.DockerDriver(self.virtapi)
        # It asks Nova who froze a server.
        with mock.patch.object(objects.Instance, 'get_by_uuid',
                               return_value=self.server):
            self.driver.init_host(driver_case.HOST)

    def _delete(self):
        self.destroy()
        # A snapshot whose commit's answer was lost goes with the next start.
        self._restart()
        self.assertEqual(self.before, self.state())

    def _running_again(self):
        self.reboot()
        self.assertRunsWith(DATA)

    def _built_again(self):
        self.rebuild()
        self.assertRunsWith(None)

    def _without_sandbox(self):
        self.boot()
        self.remove(names.sandbox)

    def _without_sandbox_and_off(self):
        self._without_sandbox()
        self.power_off()

    def test_spawn(self):
        self._strike_each_step(lambda: None, lambda: self.spawn(self.server),
                               lambda: None)

    def test_spawn_then_rebuild(self):
        self._strike_each_step(lambda: None, lambda: self.spawn(self.server),
                               self._built_again)

    def test_destroy(self):
        self._strike_each_step(self.boot, self.destroy, lambda: None)

    def test_power_on(self):
        def prepare():
            self.boot()
            self.power_off()

        self._strike_each_step(prepare, self.power_on, self._running_again)

    def test_power_on_with_a_dead_sandbox(self):
        def prepare():
            self.boot()
            self.power_off()
            self.client.kill(names.sandbox(uuids.server))

        self._strike_each_step(prepare, self.power_on, self._running_again)

    def test_power_on_without_sandbox(self):
        def afterwards():
            self.power_on()
            self.assertRunsWith(DATA)

        self._strike_each_step(self._without_sandbox, self.power_on,
                               afterwards)

    def test_power_on_without_sandbox_then_snapshot(self):
        def afterwards():
            self.assertEqual(DATA, self._kept_in(self.snapshot()))

        self._strike_each_step(self._without_sandbox_and_off, self.power_on,
                               afterwards)

    def _kept_in(self, snapshot):
        self.engine.add_image(self.glance.data(snapshot))
        tag = names.snapshot_tag(snapshot)
        kept = self.engine.store.file(self.engine.store.find(tag), 'kept')
        self.client.remove_image(tag)
        return kept

    def test_hard_reboot(self):
        self._strike_each_step(self.boot, self.reboot, self._running_again)

    def test_hard_reboot_without_sandbox(self):
        self._strike_each_step(self._without_sandbox, self.reboot,
                               self._running_again)

    def test_soft_reboot(self):
        self._strike_each_step(self.boot, lambda: self.reboot('SOFT'),
                               self._running_again)

    def test_snapshot(self):
        self._strike_each_step(self.boot, self.snapshot,
                               self._running_again)

    def test_rebuild(self):
        self._strike_each_step(self.boot, self.rebuild, self._built_again)


class LostSandboxTest(RecoveryCase):
    def setUp(self):
        super().setUp()
        self.boot()

    def test_killed(self):
        before = self.workload()
        self.client.kill(names.sandbox(uuids.server))
        self.reboot()
        self.assertEqual(before.id, self.workload().id)
        self.assertRunsWith(DATA)

    def test_frozen(self):
        self.client.pause(names.sandbox(uuids.server))
        self.reboot()
        self.assertRunsWith(DATA)

    def test_removed_again_and_again(self):
        for _time in range(3):
            self.remove(names.sandbox)
            self.reboot()
            self.assertRunsWith(DATA)

    def test_server_that_runs_is_stopped_before_it_is_copied(self):
        self.remove(names.sandbox)
        before = self.workload().id
        calls = len(self.fake_engine.calls)
        self.power_on()
        calls = self.fake_engine.calls[calls:]
        self.assertLess(
            calls.index(('POST', '/containers/%s/stop' % before)),
            calls.index(('POST', '/commit')))
        self.assertRunsWith(DATA)

    def test_files_too_large_to_be_copied(self):
        """A sparse file is no reason to fill the host's disk."""
        self.remove(names.sandbox)
        self.engine.get(names.workload(uuids.server)).hole_bytes = 2 << 30
        before = self.workload()
        self.assertRaises(disksize.DiskTooLarge, self.power_on)
        self.assertEqual(before, self.workload())
        self.engine.get(names.workload(uuids.server)).hole_bytes = 0
        self.power_on()
        self.assertRunsWith(DATA)

    def test_server_that_is_paused(self):
        self.driver.pause(self.server)
        self.remove(names.sandbox)
        self.power_on()
        self.assertRunsWith(DATA)

    def test_old_container_that_cannot_be_removed(self):
        """The server runs; the next time will do."""
        self.remove(names.sandbox)
        before = self.workload()
        self.fake_engine.fail_next('DELETE', '/containers/*', 500,
                                   'device or resource busy')
        self.power_on()
        name = names.replacement(uuids.server, before.id)
        self.assertEqual(model.RUNNING,
                         self.client.get_container(name).state)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(
            self.server, use_cache=False).state)
        self.power_on()
        self.assertRunsWith(DATA)

    def test_name_that_a_foreign_container_took(self):
        self.client.rename(self.workload().id, 'aside')
        foreign = self._create(names.workload)
        self.reboot()
        self.assertEqual('aside', self.workload().name)
        self.client.remove(foreign)
        self.reboot()
        self.assertRunsWith(DATA)

    def test_name_of_the_sandbox_that_a_foreign_container_took(self):
        self.remove(names.sandbox)
        foreign = self._create(names.sandbox)
        error = self.assertRaises(exception.Conflict, self.power_on)
        self.assertIn(names.sandbox(uuids.server), str(error))
        self.assertEqual(model.CREATED,
                         self.client.get_container(foreign).state)
        self.client.remove(foreign)
        self.reboot()
        self.assertRunsWith(DATA)

    def _create(self, name):
        return self.client.create(model.ContainerSpec(
            name=name(uuids.server), image=names.SANDBOX_IMAGE, labels={},
            network_mode='none'))


class AnonymousVolumeTest(RecoveryCase):
    """Containers made before VOLUME was dropped from images have some."""

    def test_they_go_along(self):
        self.boot()
        old = self.workload()
        self.engine.add_image(archives.image('old:1', Volumes={'/data': {}}))
        self.client.remove(old.id)
        workload = self.client.create(model.ContainerSpec(
            name=old.name, image='old:1', labels=old.labels,
            network_mode='container:' + old.network_owner))
        self.client.put_archive(workload, '/data',
                                archives.tar({'kept': DATA}))
        self.remove(names.sandbox)
        self.reboot()
        self.assertNotEqual(workload, self.workload().id)
        self.assertEqual(DATA, self.engine.file(
            self.workload().id, '/data/kept'))
        self.destroy()
        self.assertEqual(set(), self.state()['engine']['volumes'])


class LostDiskTest(RecoveryCase):
    """The workload was removed by hand."""

    def setUp(self):
        super().setUp()
        self.boot()
        self.remove(names.workload)

    def test_what_needs_the_disk_says_that_it_is_lost(self):
        for verb in (self.power_on, self.reboot,
                     lambda: self.reboot('SOFT'), self.snapshot,
                     lambda: self.driver.pause(self.server),
                     lambda: self.driver.unpause(self.server)):
            error = self.assertRaises(inventory.DiskLost, verb)
            self.assertIn('rebuild the server', str(error))

    def test_console(self):
        error = self.assertRaises(
            nova_exception.ConsoleNotAvailable,
            self.driver.get_console_output, self.context, self.server)
        self.assertIn('rebuild the server', str(error))

    def test_looking(self):
        self.assertRaises(nova_exception.InstanceNotFound,
                          self.driver.get_info, self.server, False)
        self.assertFalse(self.driver.instance_exists(self.server))
        # Its sandbox is there, for Nova to remove.
        self.assertEqual([uuids.server], self.driver.list_instance_uuids())

    def test_rebuild(self):
        self.rebuild()
        self.assertRunsWith(None)

    def test_rebuild_without_sandbox(self):
        self.remove(names.sandbox)
        self.rebuild()
        self.assertRunsWith(None)

    def test_reboot_makes_nothing(self):
        self.remove(names.sandbox)
        self.assertRaises(inventory.DiskLost, self.reboot)
        self.assertEqual({}, self.state()['engine']['containers'])


class LateContainerTest(RecoveryCase):
    """The engine makes a container long after its answer was due."""

    def setUp(self):
        super().setUp()
        # The image stays.
        self.spawn(self.server)
        self.destroy()
        self.before = self.state()
        self.flags(api_timeout=1, group='docker')
        self.driver = driver.DockerDriver(self.virtapi)
        self.driver.init_host(driver_case.HOST)
        self.made = threading.Event()
        create = self.engine.create

        def late_create(name, body):
            answer = create(name, body)
            self.made.set()
            return answer

        self.useFixture(fixtures.MonkeyPatch(
            'tests.fakes.engine.Engine.create',
            lambda _engine, *arguments: late_create(*arguments)))

    def _boot_late(self, nth):
        """The sandbox is the first, the workload the second."""
        self.fake_engine.delay_next('POST', '/containers/create', 60, nth)
        self.assertRaises(exception.EngineUnavailable, self.spawn,
                          self.server)
        self.assertEqual(self.before, self.state())
        self.made.clear()
        self.fake_engine.faults.release()
        self.assertTrue(self.made.wait(30))
        self.assertNotEqual(self.before, self.state())

    def test_next_build_removes_it(self):
        for nth in (1, 2):
            with self.subTest(nth):
                self._boot_late(nth)
                self.spawn(self.server)
                self.assertRunsWith(None)
                self.destroy()
                self.assertEqual(self.before, self.state())
                self.fake_engine.faults.hold()

    def test_delete_removes_it(self):
        self._boot_late(2)
        self.destroy()
        self.assertEqual(self.before, self.state())

    def test_two_passes_remove_it(self):
        self._boot_late(2)
        self._sweep()
        self.assertNotEqual(self.before, self.state())
        self._sweep()
        self.assertEqual(self.before, self.state())

    def _sweep(self, *known):
        self.flags(remove_unused_base_images=False, group='image_cache')
        self.driver.manage_image_cache(self.context, [
            types.SimpleNamespace(uuid=uuid, image_ref='') for uuid in known])

    def test_server_that_nova_knows_stays(self):
        self._boot_late(2)
        before = self.state()
        for _pass in range(3):
            self._sweep(uuids.server)
        self.assertEqual(before, self.state())

    def test_server_that_is_being_built_stays(self):
        """The one that was found before is another container."""
        self._boot_late(2)
        self._sweep()
        self.destroy()
        self._sweep()
        self.fake_engine.faults.hold()
        self._boot_late(2)
        before = self.state()
        self._sweep()
        self.assertEqual(before, self.state())

    def test_server_that_ever_ran_stays(self):
        for power_on in (True, False):
            self.spawn(self.server, power_on=power_on)
            before = self.state()
            for _pass in range(3):
                self._sweep()
            self.assertEqual(before, self.state())
            self.destroy()

    def test_server_that_exists(self):
        self.spawn(self.server, power_on=False)
        before = self.state()
        self.assertRaises(nova_exception.InstanceExists, self.spawn,
                          self.server)
        self.assertEqual(before, self.state())


class StartOfTheServiceTest(RecoveryCase):
    def test_one_look_that_fails_spares_the_service(self):
        """Nova goes on to the next server after this exception only."""
        self.boot()
        for method, pattern in (('GET', '/containers/json'),
                                ('GET', '/containers/*/json')):
            for fail in (self.fake_engine.fail_next,
                         self.fake_engine.drop_next):
                fail(method, pattern)
                error = self.assertRaises(
                    nova_exception.VirtualInterfacePlugException,
                    self.driver.plug_vifs, self.server, self.network_info)
                self.assertIn('Docker Engine', str(error))
        self.driver.plug_vifs(self.server, self.network_info)
