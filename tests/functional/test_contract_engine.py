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


"""The contract of an engine, kept by the real one."""

import docker
import testtools

from tests.contract import engine_contract
from tests.contract import suites
from tests.functional import engine


class Binding(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = engine.RealEngine()
        cls.engine.setUp()
        cls.addClassCleanup(cls.engine.cleanUp)
        cls.client = cls.engine.client
        cls.image = cls.engine.image
        cls.file_system = cls.engine.file_system


globals().update(suites.bound(engine_contract, Binding, __name__))


class LimitsTest(engine_contract.Contract, Binding):
    """What a spec asks for is what the engine says it applies."""

    def inspect(self, **arguments) -> dict:
        raw = docker.APIClient(self.engine.url, version='1.41')
        self.addCleanup(raw.close)
        return raw.inspect_container(self.create(*engine_contract.FOREVER,
                                                 **arguments))

    def assertApplied(self, expected: dict, **arguments):
        host_config = self.inspect(**arguments)['HostConfig']
        self.assertEqual(expected,
                         {key: host_config[key] for key in expected})

    def test_limits(self):
        self.assertApplied(
            {'Memory': 64 << 20, 'MemorySwap': 64 << 20, 'CpuShares': 512,
             'NanoCpus': 500_000_000, 'PidsLimit': 77},
            memory_bytes=64 << 20, cpu_shares=512, nano_cpus=500_000_000,
            pids_limit=77)

    def test_no_limits(self):
        self.assertApplied({'Memory': 0, 'MemorySwap': 0, 'CpuShares': 0,
                            'NanoCpus': 0, 'PidsLimit': None})

    def test_isolation(self):
        self.assertApplied(
            {'CapDrop': ['ALL'], 'CapAdd': ['KILL'],
             'SecurityOpt': ['no-new-privileges'], 'Privileged': False,
             'CgroupnsMode': 'private', 'ReadonlyRootfs': True,
             'Init': True, 'NetworkMode': 'none', 'PidMode': '',
             'IpcMode': 'private', 'UTSMode': '', 'Binds': None,
             'RestartPolicy': {'Name': 'no', 'MaximumRetryCount': 0}},
            cap_add=('KILL',), security_opt=('no-new-privileges',),
            read_only=True, init=True)

    def test_ulimits_and_log(self):
        self.assertApplied(
            {'Ulimits': [{'Name': 'core', 'Soft': 0, 'Hard': 0},
                         {'Name': 'nofile', 'Soft': 10, 'Hard': 20}],
             'LogConfig': {'Type': 'json-file',
                           'Config': {'max-size': '1m'}},
             'Sysctls': {'net.ipv4.ip_forward': '0'}},
            ulimits={'nofile': (10, 20), 'core': (0, 0)},
            log_options={'max-size': '1m'},
            sysctls={'net.ipv4.ip_forward': '0'})

    def test_settings(self):
        config = self.inspect(
            hostname='server-1', working_dir='/bin', user='1:2', tty=True,
            environment={'A': 'x y', 'B': ''},
            entrypoint=('sh', '-c'))['Config']
        self.assertEqual('server-1', config['Hostname'])
        self.assertEqual('/bin', config['WorkingDir'])
        self.assertEqual('1:2', config['User'])
        self.assertEqual((True, True), (config['Tty'], config['OpenStdin']))
        self.assertEqual(['A=x y', 'B='], sorted(config['Env']))
        self.assertEqual(['sh', '-c'], config['Entrypoint'])

    def test_twin_keeps_limits(self):
        original = self.create(*engine_contract.FOREVER, pids_limit=77,
                               memory_bytes=64 << 20)
        twin = self.client.recreate(original, self.name('twin'), self.image,
                                    self.run_container(), {})
        raw = docker.APIClient(self.engine.url, version='1.41')
        self.addCleanup(raw.close)
        host_config = raw.inspect_container(twin)['HostConfig']
        self.assertEqual((77, 64 << 20), (host_config['PidsLimit'],
                                          host_config['Memory']))

    def test_volumes_go_with_the_last_container(self):
        self.load(self.tag(), Volumes={'/data': {}})
        original = self.create(image=self.tag())
        twin = self.client.recreate(original, self.name('twin'), self.image,
                                    self.run_container(), {})
        raw = docker.APIClient(self.engine.url, version='1.41')
        self.addCleanup(raw.close)
        mount, = raw.inspect_container(twin)['Mounts']
        self.client.remove(original)
        raw.inspect_volume(mount['Name'])
        self.client.remove(twin)
        self.assertRaises(docker.errors.NotFound, raw.inspect_volume,
                          mount['Name'])
