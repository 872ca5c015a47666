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

"""What the operator allows."""

from heat.common import exception as heat_exception
from heat.engine import properties as heat_properties
import testtools

from heat_docker import exception
from heat_docker import policy
from heat_docker import properties
from tests.heat import options
from tests.heat.unit import containers


class PolicyTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.options = self.useFixture(options.Options())
        self.options.set(endpoints=['tcp://one:2376', 'unix:///run/two'])
        self.policy = policy.Policy(self.options.group)

    def check(self, **given):
        self.policy.check(heat_properties.Properties(
            properties.SCHEMA, {'image': 'busybox', **given}))

    def assertRefused(self, words, **given):
        error = self.assertRaises(exception.Refused, self.check, **given)
        self.assertIn(words, str(error))
        self.assertEqual(1, str(error).count('. ') + 1)
        self.assertEqual('.', str(error)[-1])

    def test_nothing_is_allowed_to_begin_with(self):
        self.options.set(endpoints=[])
        self.assertRefused('named no Docker Engine')
        self.assertRefused('named no Docker Engine',
                           docker_endpoint='unix:///var/run/docker.sock')

    def test_first_endpoint_is_the_default(self):
        self.assertEqual('tcp://one:2376', self.policy.endpoint(None))
        self.assertEqual('tcp://one:2376', self.policy.endpoint(''))

    def test_spellings_of_an_endpoint(self):
        for wanted in ('tcp://one:2376', 'tcp://ONE:2376/', 'one:2376',
                       'https://one:2376', 'http://one:2376'):
            self.assertEqual('tcp://one:2376', self.policy.endpoint(wanted))
        for wanted in ('unix:///run/two', 'unix://run/two',
                       'unix:///run/two/'):
            self.assertEqual('unix:///run/two', self.policy.endpoint(wanted))

    def test_other_endpoints(self):
        for wanted in ('tcp://one:2375', 'tcp://one:2376@evil', 'evil',
                       'unix:///var/run/docker.sock', 'unix://',
                       'tcp://one:2376.evil.example.org',
                       'unix:///run/two/../../var/run/docker.sock',
                       'tcp://one:2376/../', 'ssh://one:2376'):
            self.assertRefused('engine', docker_endpoint=wanted)

    def test_privileged(self):
        self.assertRefused('privileged containers', privileged=True)
        self.options.set(allow_privileged=True)
        self.check(privileged=True)

    def test_binds(self):
        self.assertRefused('to mount /srv', volumes={'/srv': '/data'})
        self.options.set(allowed_binds=['/srv/data', '/opt/', 'cache'])
        for source in ('/srv/data', '/srv/data/', '/srv/data/a/../b',
                       '/opt', '/opt/x', '//opt/x', 'cache'):
            self.check(volumes={source: '/data'})
        for source in ('/', '/srv', '/srv/data2', '/srv/data/..',
                       '/srv/data/../../etc', '/srv/data:/x',
                       '/srv/..:/b/../../srv/data', 'cache2', 'cache/..',
                       './cache', '', '/etc'):
            self.assertRefused('to mount', volumes={source: '/data'})

    def test_root_allows_all_paths_but_no_volumes(self):
        self.options.set(allowed_binds=['/'])
        self.check(volumes={'/etc': '/data', '/': '/host'})
        self.assertRefused('to mount cache', volumes={'cache': '/data'})

    def test_devices(self):
        device = {'path_on_host': '/dev/kvm'}
        self.assertRefused('the device /dev/kvm', devices=[device])
        self.options.set(allowed_devices=['/dev/kvm'])
        self.check(devices=[device, {'path_on_host': '/dev//kvm'}])
        self.assertRefused('the device /dev/mem',
                           devices=[device, {'path_on_host': '/dev/mem'}])

    def test_capabilities(self):
        self.check(cap_add=['KILL', 'NET_RAW'], cap_drop=['ALL'])
        for name in ('SYS_ADMIN', 'ALL'):
            self.assertRefused('capability ' + name, cap_add=['KILL', name])
        self.options.set(allowed_capabilities=['NET_ADMIN'])
        self.check(cap_add=['NET_ADMIN'])
        self.assertRefused('capability KILL', cap_add=['KILL'])
        self.options.set(allowed_capabilities=['ALL'])
        self.check(cap_add=['ALL', 'SYS_ADMIN'])

    def test_networks(self):
        self.check(networks=[{'network': 'bridge'}])
        for name in ('host', 'back', 'container:nova-1'):
            self.assertRefused('the network ' + name,
                               networks=[{'network': name}])
        self.options.set(allowed_networks=['back'])
        self.check(networks=[{'network': 'back'}])

    def test_labels_of_openstack(self):
        self.check(labels={'org.example': '1'})
        for name in ('org.openstack.nova.uuid',
                     'org.openstack.heat.project_id'):
            self.assertRefused('belong to OpenStack', labels={name: '1'})


class ValidationTest(containers.TestCase):
    """A refusal comes when the template is validated."""

    def test_refusals(self):
        for sentence, properties_ in (
                ('privileged containers', {'privileged': True}),
                ('the engine tcp://evil:2375',
                 {'docker_endpoint': 'tcp://evil:2375'}),
                ('to mount /', {'volumes': {'/': '/host'}}),
                ('8080:80 is no port', {'port_specs': ['8080:80']})):
            self.assertRejected(sentence, **properties_)
        self.assertEqual([], self.fake.calls)

    def test_no_engine(self):
        self.stacks.options.set(endpoints=[])
        stack = self.stacks.parse(containers.template(web={}))
        error = self.assertRaises(heat_exception.ResourceTypeUnavailable,
                                  stack.validate)
        self.assertIn('named no Docker Engine', str(error))

    def test_judged_again_at_creation(self):
        stack = self.stacks.parse(containers.template(
            web={'privileged': True}))
        stack.store()
        stack.create()
        self.assertState('CREATE_FAILED', stack)
        self.assertIn('privileged containers', stack.status_reason)
        self.assertEqual({}, self.engine.containers)

    def test_containers_of_others_are_out_of_reach(self):
        foreign = self.engine.create('nova-1', {
            'Image': containers.IMAGE, 'Cmd': ['sleep', '600']})
        self.engine.start(foreign)
        for wanted in ({'links': {'nova-1': 'db'}},
                       {'volumes_from': ['nova-1']},
                       {'links': {foreign: 'db'}},
                       {'volumes_from': ['missing']}):
            stack, _web = self.create(**wanted)
            self.assertState('CREATE_FAILED', stack)
            self.assertIn('The engine has no container',
                          stack.status_reason)
        self.stacks.options.set(allow_foreign_containers=True)
        stack, _web = self.create(links={'nova-1': 'db'})
        self.assertState('CREATE_COMPLETE', stack)
