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

"""Creating containers."""

import threading

from tests.fakes import archives
from tests.heat.unit import containers

_PATIENCE_S = 60


class CreateTest(containers.TestCase):

    def test_container_runs_and_says_whose_it_is(self):
        stack, web = self.create(labels={'tier': 'front', 'size': 3})
        self.assertState('CREATE_COMPLETE', stack)
        container = self.container(web)
        self.assertTrue(container.running)
        self.assertEqual({
            'tier': 'front', 'size': '3',
            'org.openstack.heat.project_id': self.stacks.context.project_id,
            'org.openstack.heat.stack_id': stack.id,
            'org.openstack.heat.stack_name': stack.name,
            'org.openstack.heat.resource_name': 'web'}, container.labels)

    def test_name_is_that_of_stack_and_resource(self):
        stack, web = self.create()
        self.assertEqual(web.physical_resource_name(),
                         self.container(web).name)
        stack = self.stacks.create(containers.template(**{'a web': {}}))
        self.assertIn('-a_web-', self.container(stack['a web']).name)

    def test_name_of_the_template(self):
        _stack, web = self.create(name='mine')
        self.assertEqual('mine', self.container(web).name)
        self.assertEqual(web.resource_id, web.FnGetRefId())

    def test_settings_reach_the_engine(self):
        _stack, web = self.create(
            hostname='www', user='1000', env=['A=1'], tty=True,
            open_stdin=True, stdin_once=True, dns=['192.0.2.53'],
            memory=64 << 20, cpu_shares=512, cpu_set='0', read_only=True,
            cap_add=['KILL'], cap_drop=['ALL'],
            restart_policy={'Name': 'on-failure', 'MaximumRetryCount': 2})
        container = self.container(web)
        self.assertEqual(
            ('www', '1000', ['A=1'], True, True, True),
            tuple(container.config[name] for name in (
                'Hostname', 'User', 'Env', 'Tty', 'OpenStdin', 'StdinOnce')))
        expected = {
            'Dns': ['192.0.2.53'], 'Memory': 64 << 20,
            'MemorySwap': 128 << 20, 'CpuShares': 512, 'CpusetCpus': '0',
            'ReadonlyRootfs': True, 'CapAdd': ['KILL'], 'CapDrop': ['ALL'],
            'RestartPolicy': {'Name': 'on-failure', 'MaximumRetryCount': 2}}
        self.assertEqual(expected, {
            name: container.host_config.get(name) for name in expected})

    def test_command_of_the_image(self):
        self.engine.add_image(archives.image('serves:1', Cmd=['sleep', '60']))
        _stack, web = self.create(image='serves:1', cmd=[])
        self.assertEqual(['sleep', '60'], self.container(web).argv)

    def test_two_networks(self):
        self.engine.add_network('front')
        self.engine.add_network('back')
        self.stacks.options.set(allowed_networks=['front', 'back'])
        stack, web = self.create(networks=[
            {'network': 'front'}, {'network': 'back', 'aliases': ['db']}])
        self.assertState('CREATE_COMPLETE', stack)
        container = self.container(web)
        self.assertEqual('front', container.network_mode)
        self.assertEqual({'front', 'back'}, set(container.endpoints))
        self.assertEqual(['db'], container.endpoints['back']['Aliases'])

    def test_links_and_volumes_of_the_project_by_id(self):
        _stack, db = self.create(name='db')
        _stack, web = self.create(links={'db': 'database'},
                                  volumes_from=['db:ro'])
        host_config = self.container(web).host_config
        self.assertEqual(['%s:database' % db.resource_id],
                         host_config['Links'])
        self.assertEqual(['%s:ro' % db.resource_id],
                         host_config['VolumesFrom'])

    def test_links_in_a_network_of_the_operator(self):
        self.engine.add_network('back')
        self.stacks.options.set(allowed_networks=['back'])
        _stack, db = self.create(name='db')
        _stack, web = self.create(links={'db': 'database'},
                                  networks=[{'network': 'back'}])
        container = self.container(web)
        self.assertEqual(['%s:database' % db.resource_id],
                         container.endpoints['back']['Links'])
        self.assertFalse(container.host_config.get('Links'))


class FailureTest(containers.TestCase):

    def failure(self, **properties):
        stack, web = self.create(**properties)
        self.assertState('CREATE_FAILED', stack)
        self.assertState('CREATE_FAILED', web)
        self.assertEqual(1, self.fake.calls.count(
            ('POST', '/containers/create')))
        return web.status_reason

    def test_exit_code_and_log_tell_why(self):
        reason = self.failure(
            cmd=['sh', '-c', 'echo no such table; exit 3'])
        self.assertIn('ended with exit code 3', reason)
        self.assertIn('no such table', reason)

    def test_only_the_end_of_the_log_is_told(self):
        reason = self.failure(cmd=['sh', '-c', 'seq 1 5000; exit 1'])
        self.assertIn('5000', reason)
        self.assertNotIn('4979\n', reason)

    def test_log_need_not_be_text(self):
        self.engine.program('cat', exit_code=1, output=b'\xff\0end\n')
        self.assertIn('\ufffdend', self.failure(cmd=['cat']))

    def test_command_that_is_missing(self):
        self.assertIn('/missing', self.failure(cmd=['/missing']))

    def test_engine_that_is_gone(self):
        stack = self.stacks.parse(containers.template(web={}))
        stack.store()
        self.fake.stop()
        stack.create()
        self.assertState('CREATE_FAILED', stack)
        self.assertIn('cannot be used', stack.status_reason)
        self.fake.start()
        stack.delete()
        self.assertState('DELETE_COMPLETE', stack)

    def test_engine_that_is_too_old(self):
        self.engine.api_version = '1.40'
        stack, _web = self.create()
        self.assertIn('20.10 or later', stack.status_reason)

    def test_network_that_is_missing(self):
        self.stacks.options.set(allowed_networks=['back'])
        stack, _web = self.create(networks=[{'network': 'back'}])
        self.assertIn('network back not found', stack.status_reason)

    def test_crash_loop(self):
        stack, web = self.create(cmd=['sh', '-c', 'echo again; exit 4'],
                                 restart_policy={'Name': 'always'})
        self.assertState('CREATE_FAILED', web)
        self.assertIn('5 times in a row', web.status_reason)
        self.assertIn('again', web.status_reason)
        stack.delete()
        self.assertEqual({}, self.engine.containers)

    def test_job_is_done_with_exit_code_0(self):
        stack, web = self.create(cmd=['true'])
        self.assertState('CREATE_COMPLETE', web)
        for verb in (stack.check, stack.suspend, stack.resume, stack.check):
            verb()
            self.assertState(stack.action + '_COMPLETE', stack)
        self.assertEqual([], self.running())

    def test_service_that_ends_with_0_has_failed(self):
        for meant_to_stay in (
                {'tty': True}, {'open_stdin': True},
                {'health_check': {'test': ['CMD', 'true']}}):
            _stack, web = self.create(cmd=['true'], **meant_to_stay)
            self.assertState('CREATE_FAILED', web)
            self.assertIn('exit code 0', web.status_reason)

    def test_rollback_leaves_nothing(self):
        stack = self.stacks.create(
            containers.template(web={}, bad={'cmd': ['false']}),
            disable_rollback=False)
        self.assertState('ROLLBACK_COMPLETE', stack)
        self.assertEqual({}, self.engine.containers)


class HealthTest(containers.TestCase):

    def check(self, command, **more):
        return {'test': ['CMD-SHELL', command], 'interval': 0.1, **more}

    def test_create_waits_for_health(self):
        _stack, web = self.create(health_check=self.check('true'))
        self.assertState('CREATE_COMPLETE', web)
        health = self.engine.inspect(web.resource_id)['State']['Health']
        self.assertEqual('healthy', health['Status'])

    def test_unhealthy(self):
        _stack, web = self.create(health_check=self.check(
            'echo no database; exit 1', retries=2))
        self.assertState('CREATE_FAILED', web)
        self.assertIn('health check of the container fails: no database',
                      web.status_reason)

    def test_check_finds_what_became_unhealthy(self):
        self.engine.program('sh -c probe')
        self.engine.program('sh -c probe', exit_code=0)
        stack, _web = self.create(health_check=self.check(
            'probe', retries=1))
        self.engine.program('sh -c probe', exit_code=1, output=b'gone')
        stack.check()
        self.assertState('CHECK_FAILED', stack)
        self.assertIn('gone', stack['web'].status_reason)

    def test_check_of_the_image_can_be_switched_off(self):
        _stack, web = self.create(health_check={'test': ['NONE']},
                                  cmd=['true'])
        self.assertState('CREATE_COMPLETE', web)


class PullTest(containers.TestCase):

    NAME = 'registry.example.org/app:2'

    def setUp(self):
        super().setUp()
        self.engine.registry[self.NAME] = archives.image(
            self.NAME, Env=['A=2'])

    def pulls(self):
        return self.fake.calls.count(('POST', '/images/create'))

    def test_missing_image_is_pulled(self):
        stack, web = self.create(image=self.NAME)
        self.assertState('CREATE_COMPLETE', stack)
        self.assertEqual([self.NAME], self.container(web).image.tags)

    def test_image_that_is_there_needs_no_registry(self):
        self.create()
        self.assertEqual(0, self.pulls())

    def test_always(self):
        self.create(image=self.NAME, pull_policy='always')
        self.create(image=self.NAME, pull_policy='always')
        self.assertEqual(2, self.pulls())

    def test_never(self):
        stack, _web = self.create(image=self.NAME, pull_policy='never')
        self.assertIn('pull_policy is never', stack.status_reason)
        self.assertEqual(0, self.pulls())

    def test_registry_that_fails(self):
        stack, web = self.create(image='registry.example.org/other:1')
        self.assertState('CREATE_FAILED', web)
        self.assertIn('cannot pull image registry.example.org/other:1',
                      web.status_reason)
        stack.delete()
        self.assertState('DELETE_COMPLETE', stack)

    def test_rest_of_the_stack_does_not_wait(self):
        web_runs = threading.Event()
        register, start = self.engine.pull, self.engine.start
        ran_before = []

        def pull(name):
            ran_before.append(web_runs.wait(_PATIENCE_S))
            register(name)

        def started(reference):
            answer = start(reference)
            web_runs.set()
            return answer
        self.engine.pull, self.engine.start = pull, started
        stack = self.stacks.create(containers.template(
            app={'image': self.NAME}, web={}))
        self.assertState('CREATE_COMPLETE', stack)
        self.assertEqual([True], ran_before)

    def test_silence_ends_a_pull(self):
        self.stacks.options.set(pull_timeout=1)
        self.fake.hang_next('POST', '/images/create')
        stack, _web = self.create(image=self.NAME)
        self.assertState('CREATE_FAILED', stack)
        self.assertIn('no progress for 1 seconds', stack.status_reason)
