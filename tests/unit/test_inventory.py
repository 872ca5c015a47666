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

"""Which containers are whose is answered by label and role alone."""

import ast
from concurrent import futures
import pathlib
import re
import threading

import fixtures
from nova.compute import power_state
from nova import exception as nova_exception
from oslo_utils.fixture import uuidsentinel as uuids

import novadocker
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from tests import base
from tests.unit import driver_case

LIST = ('GET', '/containers/json')


def row(identity, role=names.ROLE_WORKLOAD, owner='', **labels):
    return model.ContainerSummary(
        identity, 'whatever', model.RUNNING, 'image', {
            names.LABEL_ROLE: role, **{
                names.LABEL_PREFIX + name: value
                for name, value in labels.items()}}, owner)


class ServerTest(base.TestCase):
    def test_no_container(self):
        server = inventory.Server(uuids.server)
        self.assertEqual((None, None, ()), (
            server.workload, server.sandbox, server.surplus))

    def test_one_of_each(self):
        workload, sandbox = row('w'), row('s', names.ROLE_SANDBOX)
        server = inventory.Server(uuids.server, (workload, sandbox))
        self.assertEqual((workload, sandbox, ()), (
            server.workload, server.sandbox, server.surplus))

    def test_the_new_one_replaces_the_old_one(self):
        old, new = row('old'), row('new', replaces='old')
        for rows in ((old, new), (new, old)):
            server = inventory.Server(uuids.server, rows)
            self.assertEqual(new, server.workload)
            self.assertEqual((old,), server.surplus)

    def test_a_replacement_that_is_over(self):
        new = row('new', replaces='old')
        self.assertEqual(new, inventory.Server(
            uuids.server, (new,)).workload)

    def test_the_sandbox_is_the_one_that_the_workload_joined(self):
        sandboxes = [row(name, names.ROLE_SANDBOX) for name in 'abc']
        workload = row('w', owner='b')
        server = inventory.Server(uuids.server, (*sandboxes, workload))
        self.assertEqual('b', server.sandbox.id)
        self.assertEqual(['a', 'c'], [each.id for each in server.surplus])

    def test_other_roles_are_neither(self):
        other = row('x', 'resize-source')
        server = inventory.Server(uuids.server, (other,))
        self.assertEqual((None, None, ()), (
            server.workload, server.sandbox, server.surplus))


class InventoryTest(driver_case.DriverCase):
    """``get_info`` with a cache, as Nova's periodic tasks ask."""

    def setUp(self):
        super().setUp()
        self.server = self.spawn()

    def _state(self):
        return self.driver.get_info(self.server, use_cache=True).state

    def _calls(self, what, *arguments, **keywords):
        before = len(self.fake_engine.calls)
        what(*arguments, **keywords)
        return self.fake_engine.calls[before:]

    def test_name_without_labels(self):
        self.driver.destroy(self.context, self.server, self.network_info)
        self.client.create(model.ContainerSpec(
            name=names.workload(uuids.server), image=names.SANDBOX_IMAGE,
            labels={}, network_mode='none'))
        self.assertFalse(self.driver.instance_exists(self.server))

    def test_labels_without_the_name(self):
        for role in (names.workload, names.sandbox):
            self.client.rename(role(uuids.server), 'renamed-by-hand' +
                               role('x'))
        self.assertTrue(self.driver.instance_exists(self.server))
        self.driver.reboot(self.context, self.server, self.network_info,
                           'HARD')
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assertEqual({}, self.state()['engine']['containers'])

    def test_server_of_another_host(self):
        driver = type(self.driver)(self.virtapi)
        driver.init_host('host-2')
        self.assertFalse(driver.instance_exists(self.server))
        driver.destroy(self.context, self.server, self.network_info)
        self.assertTrue(self.driver.instance_exists(self.server))

    def test_cached_list_is_never_older_than_a_verb(self):
        for verb, state in (
            (lambda: self.driver.pause(self.server), power_state.PAUSED),
            (lambda: self.driver.unpause(self.server), power_state.RUNNING),
            (lambda: self.driver.power_off(self.server),
             power_state.SHUTDOWN),
            (lambda: self.driver.power_on(
                self.context, self.server, self.network_info),
             power_state.RUNNING),
            (lambda: self.driver.pause(self.server), power_state.PAUSED),
            (lambda: self.driver.reboot(
                self.context, self.server, self.network_info, 'HARD'),
             power_state.RUNNING),
            (lambda: self.driver.destroy(
                self.context, self.server, self.network_info,
                destroy_disks=False), power_state.SHUTDOWN),
        ):
            self._state()
            verb()
            self.assertEqual(state, self._state())
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assertEqual([LIST], self._calls(
            self.assertRaises, nova_exception.InstanceNotFound, self._state))
        self.spawn()
        self.assertEqual(power_state.RUNNING, self._state())

    def test_verb_that_fails_drops_its_entry_too(self):
        self._state()
        self.fake_engine.fail_next('POST', '/containers/*/pause', 500,
                                   after=True)
        self.assertRaises(exception.EngineError, self.driver.pause,
                          self.server)
        self.assertEqual(power_state.PAUSED, self._state())

    def test_list_that_was_under_way_when_a_verb_ended(self):
        """It is as old as its beginning."""
        listing = threading.Event()
        list_containers = self.driver._client.list_containers

        def slow(labels):
            rows = list_containers(labels)
            if names.LABEL_UUID not in labels:
                listing.set()
                paused.wait(10)
            return rows

        paused = threading.Event()
        self.useFixture(fixtures.MonkeyPatch(
            'novadocker.virt.docker.engine.client.DockerClient.'
            'list_containers', lambda _client, labels: slow(labels)))
        with futures.ThreadPoolExecutor(1) as beside:
            state = beside.submit(self._state)
            listing.wait(10)
            self.driver.pause(self.server)
            paused.set()
            self.assertEqual(power_state.PAUSED, state.result())
        self.assertEqual(power_state.PAUSED, self._state())

    def test_one_list_for_all_who_ask_at_once(self):
        self.fake_engine.delay_next('GET', '/containers/json', 0.3)
        with futures.ThreadPoolExecutor(5) as askers:
            calls = self._calls(
                lambda: [state.result() for state in [
                    askers.submit(self._state) for _asker in range(5)]])
        self.assertEqual([LIST], calls)

    def test_all_who_ask_at_once_see_it_fail(self):
        self.fake_engine.drop_next('GET', '/containers/json')
        waiting = threading.Barrier(5)

        def ask():
            waiting.wait()
            return self._state()

        with futures.ThreadPoolExecutor(5) as askers:
            asked = [askers.submit(ask) for _asker in range(5)]
            errors = [each.exception() for each in asked]
        self.assertTrue(any(isinstance(
            error, exception.EngineUnavailable) for error in errors))
        # And the next one asks anew.
        self.assertEqual(power_state.RUNNING, self._state())

    def test_calls_of_each_look(self):
        for look in (lambda: self.driver.get_info(self.server, False),
                     lambda: self.driver.instance_exists(self.server),
                     self.driver.list_instances,
                     self.driver.list_instance_uuids,
                     self.driver.get_num_instances):
            self.assertEqual([LIST], self._calls(look))


class GuardTest(base.TestCase):
    def test_no_look_up_by_name(self):
        """A name can be anybody's: labels say whose a container is."""
        root = pathlib.Path(novadocker.__file__).parent / 'virt/docker'
        found = [
            '%s:%d' % (path.name, call.lineno)
            for path in root.rglob('*.py')
            for call in ast.walk(ast.parse(path.read_text()))
            if isinstance(call, ast.Call) and
            isinstance(call.func, ast.Attribute) and
            call.func.attr in ('find_container', 'get_container', 'remove',
                               'start', 'stop', 'kill', 'pause', 'unpause')
            for argument in call.args
            if re.search('names.(workload|sandbox|replacement)',
                         ast.unparse(argument))]
        self.assertEqual([], found)
