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

"""Containers after their creation: suspension, update, check, deletion."""

import json

from heat_docker import exception
from tests.fakes import engine_heat
from tests.heat import stacks
from tests.heat.unit import containers


class SuspendTest(containers.TestCase):

    def test_suspend_stops_and_resume_starts(self):
        stack, web = self.create()
        stack.suspend()
        self.assertState('SUSPEND_COMPLETE', stack)
        self.assertEqual([], self.running())
        stack.resume()
        self.assertState('RESUME_COMPLETE', stack)
        self.assertEqual([self.container(web).name], self.running())

    def test_suspend_of_a_vanished_container_fails(self):
        stack, web = self.create()
        self.engine.remove(web.resource_id, True)
        stack.suspend()
        self.assertState('SUSPEND_FAILED', stack)
        self.assertIn('No such container', stack.status_reason)

    def test_resume_judges_like_create(self):
        stack, web = self.create()
        stack.suspend()
        self.engine.program('sleep 600', exit_code=2, output=b'disk full')
        stack.resume()
        self.assertState('RESUME_FAILED', stack)
        self.assertIn('disk full', stack.status_reason)


class UpdateTest(containers.TestCase):

    def test_limits_change_in_place(self):
        stack, web = self.create(memory=32 << 20)
        container = self.container(web)
        stack, web = self.update(
            stack, memory=128 << 20, cpu_shares=512, cpu_set='0',
            restart_policy={'Name': 'always'}, pull_policy='never')
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertEqual(container.id, web.resource_id)
        expected = {'Memory': 128 << 20, 'MemorySwap': 256 << 20,
                    'CpuShares': 512, 'CpusetCpus': '0',
                    'RestartPolicy': {'Name': 'always',
                                      'MaximumRetryCount': 0}}
        self.assertEqual(expected, {
            name: container.host_config[name] for name in expected})
        self.assertEqual(0, container.exits)

    def test_name_changes_in_place(self):
        stack, web = self.create(name='old')
        container = self.container(web)
        stack, web = self.update(stack, name='new')
        self.assertEqual('new', container.name)
        stack, web = self.update(stack)
        self.assertEqual(web.physical_resource_name(), container.name)

    def test_refused_limit_fails_the_update(self):
        stack, _web = self.create(memory=32 << 20)
        stack, _web = self.update(stack, memory=1024)
        self.assertState('UPDATE_FAILED', stack)
        self.assertIn('6MB', stack.status_reason)

    def test_lifting_a_limit_replaces(self):
        for limit in ({'memory': 32 << 20}, {'cpu_shares': 5},
                      {'cpu_set': '0'}):
            stack, web = self.create(**limit)
            old = web.resource_id
            stack, web = self.update(stack)
            self.assertState('UPDATE_COMPLETE', stack)
            self.assertNotEqual(old, web.resource_id)
            self.assertNotIn(old, self.engine.containers)

    def test_replacement_inherits_name_and_port(self):
        properties = {'name': 'web', 'port_bindings': {'80': 8080}}
        stack, web = self.create(**properties)
        old = web.resource_id
        stack, web = self.update(stack, env=['A=1'], **properties)
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertNotEqual(old, web.resource_id)
        self.assertEqual(['web'], self.running())
        self.assertEqual(1, len(self.engine.containers))

    def test_failed_replacement_brings_the_old_container_back(self):
        properties = {'name': 'web', 'port_bindings': {'80': 8080}}
        stack, web = self.create(**properties)
        old = web.resource_id
        stack = self.stacks.update(
            stack, containers.template(
                web={**properties, 'cmd': ['false']}),
            disable_rollback=False)
        self.assertState('ROLLBACK_COMPLETE', stack)
        self.assertEqual(old, stack['web'].resource_id)
        self.assertEqual(['web'], self.running())
        self.assertEqual([old], list(self.engine.containers))
        stack.check()
        self.assertState('CHECK_COMPLETE', stack)

    def test_replacement_of_a_vanished_container(self):
        stack, web = self.create(name='web')
        self.engine.remove(web.resource_id, True)
        stack, web = self.update(stack, name='web', env=['A=1'])
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertEqual(['web'], self.running())

    def test_failed_container_is_replaced_by_the_next_update(self):
        stack, web = self.create(name='web', cmd=['false'])
        self.assertState('CREATE_FAILED', stack)
        stack, web = self.update(stack, name='web')
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertEqual(['web'], self.running())
        self.assertEqual(1, len(self.engine.containers))


class CheckTest(containers.TestCase):

    def test_running(self):
        stack, _web = self.create()
        stack.check()
        self.assertState('CHECK_COMPLETE', stack)

    def test_vanished_is_found_and_healed_by_the_next_update(self):
        stack, web = self.create(name='web')
        self.engine.remove(web.resource_id, True)
        stack.check()
        self.assertState('CHECK_FAILED', stack)
        self.assertIn('No such container', stack['web'].status_reason)
        stack, web = self.update(stack, name='web')
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertEqual(['web'], self.running())

    def test_never_made_is_found_and_healed(self):
        stack, _web = self.create(image='missing:1', pull_policy='never')
        self.assertState('CREATE_FAILED', stack)
        stack.check()
        self.assertState('CHECK_FAILED', stack)
        self.assertIn('container of web has never been made',
                      stack['web'].status_reason)
        stack, _web = self.update(stack, name='web')
        self.assertEqual(['web'], self.running())

    def test_stopped_is_found_and_healed(self):
        stack, web = self.create(name='web')
        self.engine.exit(web.resource_id, 5, b'panic')
        stack.check()
        self.assertState('CHECK_FAILED', stack)
        self.assertIn('panic', stack['web'].status_reason)
        stack, web = self.update(stack, name='web')
        self.assertEqual(['web'], self.running())

    def test_vanished_is_healed_by_an_update_that_converges(self):
        stack, web = self.create()
        self.stacks.options.config(observe_on_update=True)
        self.engine.remove(web.resource_id, True)
        stack, web = self.update(stack)
        self.assertState('UPDATE_COMPLETE', stack)
        self.assertEqual(1, len(self.running()))

    def test_update_that_converges_leaves_a_sound_container(self):
        stack, web = self.create(memory=32 << 20)
        self.stacks.options.config(observe_on_update=True)
        _stack, again = self.update(stack, memory=32 << 20)
        self.assertEqual(web.resource_id, again.resource_id)


class DeleteTest(containers.TestCase):

    def assertDeleted(self, stack):
        stack.delete()
        self.assertState('DELETE_COMPLETE', stack)
        self.assertEqual({}, self.engine.containers)

    def test_in_every_state(self):
        def none(_container):
            pass

        def removed(container):
            self.engine.remove(container, True)
        for change in (none, removed, self.engine.pause, self.engine.kill,
                       lambda container: self.engine.stop(container, 1)):
            stack, web = self.create()
            change(web.resource_id)
            self.assertDeleted(stack)

    def test_suspended(self):
        stack, _web = self.create()
        stack.suspend()
        self.assertDeleted(stack)

    def test_while_a_removal_is_in_progress(self):
        stack, _web = self.create()
        self.fake.fail_next('DELETE', '/containers/*', 409,
                            'removal of container is already in progress')
        self.assertDeleted(stack)

    def test_engine_that_fails(self):
        stack, _web = self.create()
        self.fake.fail_next('DELETE', '/containers/*', 500, 'disk')
        stack.delete()
        self.assertState('DELETE_FAILED', stack)
        self.assertIn('disk', stack.status_reason)
        self.assertDeleted(stack)


class EndpointTest(containers.TestCase):
    """The operator names another engine first."""

    def setUp(self):
        super().setUp()
        self.other = self.useFixture(engine_heat.FakeEngine())

    def test_containers_are_looked_for_where_they_were_made(self):
        stack, web = self.create()
        self.stacks.options.set(endpoints=[self.other.url, self.fake.url])
        stack = self.stacks.load(stack)
        stack.check()
        self.assertState('CHECK_COMPLETE', stack)
        stack.delete()
        self.assertState('DELETE_COMPLETE', stack)
        self.assertEqual({}, self.engine.containers)
        self.assertEqual([], self.other.calls)

    def test_engine_that_is_not_named_any_more(self):
        stack, web = self.create()
        self.stacks.options.set(endpoints=[self.other.url])
        stack = self.stacks.load(stack)
        stack.delete()
        self.assertState('DELETE_FAILED', stack)
        self.assertIn('the engine ' + self.fake.url, stack.status_reason)
        self.assertIn(web.resource_id, self.engine.containers)

    def test_adopted_container_is_the_engines_that_has_it(self):
        stack, web = self.create(name='web')
        data = stack.prepare_abandon()
        stack.delete(abandon=True)
        data['resources']['web']['resource_data']['endpoint'] = self.other.url
        self.stacks.options.set(endpoints=[self.fake.url, self.other.url])
        stack = self.stacks.parse(
            json.dumps(data['template']), adopt_stack_data=data)
        stack.store()
        stack.adopt()
        self.assertState('ADOPT_COMPLETE', stack)
        stack.delete()
        self.assertEqual({}, self.engine.containers)


class AdoptTest(containers.TestCase):

    def abandon(self):
        stack, web = self.create(name='web')
        data = stack.prepare_abandon()
        stack.delete(abandon=True)
        self.assertEqual(['web'], self.running())
        return data, web.resource_id

    def adopt(self, data):
        stack = self.stacks.parse(
            json.dumps(data['template']), adopt_stack_data=data)
        stack.store()
        stack.adopt()
        return stack

    def test_abandoned_container_is_adopted(self):
        data, container = self.abandon()
        stack = self.adopt(data)
        self.assertState('ADOPT_COMPLETE', stack)
        self.assertEqual(container, stack['web'].resource_id)
        stack.check()
        self.assertState('CHECK_COMPLETE', stack)
        stack.delete()
        self.assertEqual({}, self.engine.containers)

    def test_container_of_another_project_is_not(self):
        data, _container = self.abandon()
        self.stacks.context = stacks.make_context()
        stack = self.adopt(data)
        self.assertState('ADOPT_FAILED', stack)
        self.assertIn('no container', stack.status_reason)
        self.assertIsNone(stack['web'].resource_id)
        stack.delete()
        self.assertEqual(['web'], self.running())

    def test_container_without_mark_where_the_operator_allows_it(self):
        data, container = self.abandon()
        self.engine.get(container).labels.clear()
        self.assertState('ADOPT_FAILED', self.adopt(data))
        self.stacks.options.set(allow_foreign_containers=True)
        self.assertState('ADOPT_COMPLETE', self.adopt(data))

    def test_external_container_of_another_project_is_refused(self):
        _stack, web = self.create(name='web')
        text = json.loads(containers.template(mine={}))
        text['resources']['mine']['external_id'] = 'web'
        stack = self.stacks.create(json.dumps(text))
        self.assertState('CREATE_COMPLETE', stack)
        self.stacks.context = stacks.make_context()
        parsed = self.stacks.parse(json.dumps(text))
        error = self.assertRaises(exception.Refused, parsed.validate)
        self.assertIn('no container web', str(error))
        self.assertEqual(['web'], self.running())


class AttributeTest(containers.TestCase):

    def attributes(self, resource):
        return {name: resource.FnGetAtt(name) for name in (
            'network_ip', 'network_gateway', 'network_tcp_ports',
            'network_udp_ports', 'logs', 'logs_head', 'logs_tail')}

    def test_attributes(self):
        self.engine.program('cat', output=b'one\ntwo\nthree\n')
        _stack, web = self.create(
            cmd=['cat'],
            port_bindings={'80': 8080, '53/udp': 5353, '99': None})
        address = self.container(web).endpoints['bridge']['address']
        self.assertEqual({
            'network_ip': address['IPAddress'],
            'network_gateway': address['Gateway'],
            'network_tcp_ports': '8080,32768',
            'network_udp_ports': '5353',
            'logs': 'one\ntwo\nthree\n', 'logs_head': 'one',
            'logs_tail': 'three'}, self.attributes(web))
        info = web.FnGetAtt('info')
        self.assertEqual(web.resource_id, info['Id'])
        json.dumps(info)
        network = web.FnGetAtt('network_info')
        self.assertEqual('8080,32768', network['TcpPorts'])
        self.assertIn('bridge', network['Networks'])

    def test_they_are_read_anew(self):
        _stack, web = self.create()
        self.assertEqual('', web.FnGetAtt('logs_tail'))
        self.container(web).write(1, b'later\n')
        self.assertEqual('later', web.FnGetAtt('logs_tail'))

    def test_none_before_and_after(self):
        stack, web = self.create()
        self.engine.remove(web.resource_id, True)
        self.assertEqual({None}, set(self.attributes(web).values()))
        parsed = self.stacks.parse(containers.template(web={}))
        self.assertIsNone(parsed['web'].FnGetAtt('logs'))
