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

import dataclasses

from nova import exception
from nova import objects
from nova.tests.unit import fake_instance
from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import units

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from novadocker.virt.docker import spec
from tests import base

ENGINE = model.EngineInfo(
    version='20.10.24', api_version='1.41', architecture='x86_64', cpus=4,
    memory_bytes=units.Gi, root_directory='/var/lib/docker',
    storage_driver='overlay2', runtimes=('runc', 'runsc'),
    security_options=('name=seccomp,profile=default',),
    nofile_limit=1048576)
IMAGE = model.Image(id='sha256:1234', command=('sleep', '9'))


def instance(extra_specs=None, **changes):
    flavor = objects.Flavor(
        name='m1.nano', vcpus=2, memory_mb=64, root_gb=1, ephemeral_gb=0,
        swap=0, extra_specs=extra_specs or {})
    values = {'uuid': uuids.server, 'hostname': 'web-1',
              'project_id': 'project', 'user_id': 'user',
              'image_ref': uuids.image, 'flavor': flavor,
              'display_name': 'web'}
    made = fake_instance.fake_instance_obj(None, **values)
    made.metadata = {}
    made.system_metadata = {}
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class WorkloadTest(base.TestCase):
    def _build(self, properties=None, image=IMAGE, engine=ENGINE, **changes):
        return spec.workload(instance(**changes), 'host-1', image,
                             properties or {}, 'sandbox-id', engine, {})

    def test_identity(self):
        built = self._build()
        self.assertEqual('nova-' + uuids.server, built.name)
        self.assertEqual('sha256:1234', built.image)
        self.assertEqual('container:sandbox-id', built.network_mode)
        self.assertEqual(
            {names.LABEL_UUID: uuids.server,
             names.LABEL_NAME: 'instance-00000001',
             names.LABEL_DISPLAY_NAME: 'web',
             names.LABEL_PROJECT_ID: 'project',
             names.LABEL_USER_ID: 'user',
             names.LABEL_HOST: 'host-1',
             names.LABEL_ROLE: 'workload',
             names.LABEL_IMAGE: uuids.image,
             names.LABEL_FLAVOR: 'm1.nano'}, built.labels)

    def test_limits_are_the_flavors(self):
        built = self._build()
        self.assertEqual(64 * units.Mi, built.memory_bytes)
        self.assertEqual(2048, built.cpu_shares)
        self.assertEqual(2 * 10 ** 9, built.nano_cpus)
        self.assertEqual(2048, built.pids_limit)
        self.assertEqual({'core': (0, 0), 'nofile': (1024, 1048576)},
                         built.ulimits)
        self.assertEqual({'max-size': '10m', 'max-file': '2'},
                         built.log_options)

    def test_more_vcpus_than_the_host_has(self):
        engine = dataclasses.replace(ENGINE, cpus=1)
        self.assertEqual(10 ** 9, self._build(engine=engine).nano_cpus)

    def test_root_disk_is_limited_where_the_engine_can(self):
        self.assertEqual(0, self._build().root_bytes)
        engine = dataclasses.replace(ENGINE, limits_root_disk=True)
        self.assertEqual(units.Gi, self._build(engine=engine).root_bytes)

    def test_secure_by_default(self):
        built = self._build()
        self.assertEqual(('ALL',), built.cap_drop)
        self.assertNotIn('NET_RAW', built.cap_add)
        self.assertNotIn('SYS_ADMIN', built.cap_add)
        self.assertIn('no-new-privileges', built.security_opt)
        self.assertEqual(1, len(self._profiles(built)))
        self.assertFalse(built.privileged)
        self.assertTrue(built.init)
        self.assertTrue(built.tty)

    def test_image_properties_relax_nothing(self):
        plain = self._build()
        loud = self._build(properties={
            'docker:privileged': 'true', 'docker_privileged': 'true',
            'docker:net_raw': 'true', 'docker:runtime': 'runsc'})
        self.assertEqual(plain, loud)

    def test_privileged_takes_option_and_flavor(self):
        flavor = {'docker:privileged': 'true'}
        self.assertFalse(self._build(extra_specs=flavor).privileged)
        self.flags(privileged=True, group='docker')
        self.assertFalse(self._build().privileged)
        built = self._build(extra_specs=flavor)
        self.assertTrue(built.privileged)
        self.assertEqual((), built.cap_drop)
        self.assertEqual([], self._profiles(built))

    def _profiles(self, built):
        return [option for option in built.security_opt
                if option.startswith('seccomp=')]

    def test_engine_without_seccomp(self):
        engine = dataclasses.replace(ENGINE, security_options=())
        self.assertEqual([], self._profiles(self._build(engine=engine)))

    def test_flavor_relaxes(self):
        built = self._build(extra_specs={
            'docker:net_raw': 'true', 'docker:no_new_privileges': 'false',
            'docker:pids_limit': '10', 'docker:nofile_limit': '512',
            'docker:runtime': 'runsc'})
        self.assertIn('NET_RAW', built.cap_add)
        self.assertEqual(1, len(built.security_opt))
        self.assertEqual(10, built.pids_limit)
        self.assertEqual((512, 512), built.ulimits['nofile'])
        self.assertEqual('runsc', built.runtime)

    def test_unknown_runtime(self):
        self.assertRaisesRegex(
            exception.InvalidInput, '"kata".*runc, runsc', self._build,
            extra_specs={'docker:runtime': 'kata'})

    def test_process(self):
        built = self._build(
            properties={'os_command_line': 'httpd -f', 'docker_user': 'www',
                        'docker_environment': '{"A": "1"}'},
            metadata={'B': '2'})
        self.assertEqual(('httpd', '-f'), built.command)
        self.assertEqual('www', built.user)
        self.assertEqual({'A': '1', 'B': '2'}, built.environment)

    def test_metadata_stays_out_of_the_environment(self):
        self.flags(metadata_as_environment=False, group='docker')
        self.assertEqual({}, self._build(metadata={'A': '1'}).environment)

    def test_name_that_a_terminal_would_obey(self):
        built = self._build(display_name='b\x1b[2J\u00fc\n' + 'x' * 300)
        label = built.labels[names.LABEL_DISPLAY_NAME]
        self.assertTrue(label.startswith('b?[2J\u00fc?x'))
        self.assertEqual(255, len(label))
        self.assertEqual('', self._build(display_name=None).labels[
            names.LABEL_DISPLAY_NAME])


class SandboxTest(base.TestCase):
    def test_sandbox(self):
        built = spec.sandbox(instance(), 'host-1', 'sandbox:1')
        self.assertEqual('nova-%s-sandbox' % uuids.server, built.name)
        self.assertEqual('none', built.network_mode)
        self.assertEqual('web-1', built.hostname)
        self.assertEqual('sandbox', built.labels[names.LABEL_ROLE])
        self.assertTrue(built.read_only)
        self.assertEqual(('ALL',), built.cap_drop)
        self.assertEqual((), built.cap_add)

    def test_host_names_that_the_kernel_does_not_take(self):
        for name, expected in (('a' * 80, 'a' * 64),
                               ('web.%s' % ('d' * 60), 'web.' + 'd' * 60),
                               ('web.%s' % ('d' * 80), 'web'),
                               ('\u00fc' * 80, '\u00fc' * 32),
                               ('a' + '\u00fc' * 80, 'a' + '\u00fc' * 31),
                               (None, None)):
            self.assertEqual(expected, spec.sandbox(
                instance(hostname=name), 'host-1', 'sandbox:1').hostname)


class RefuseUnsupportedTest(base.TestCase):
    def _refused(self, pattern, image=None, bdi=None, **changes):
        image_meta = objects.ImageMeta.from_dict(
            {'id': uuids.image, 'properties': image or {}})
        self.assertRaisesRegex(
            exception.BuildAbortException, pattern, spec.refuse_unsupported,
            instance(**changes), image_meta, bdi)

    def test_boot_from_volume(self):
        self._refused('cannot boot from a volume', image_ref='')

    def test_volumes(self):
        self._refused('volumes', bdi={'block_device_mapping': [
            {'mount_device': '/dev/vdb'}]})

    def test_uefi(self):
        self._refused('hw_firmware_type', image={'hw_firmware_type': 'uefi'})

    def test_tpm(self):
        self._refused('hw:tpm_version',
                      extra_specs={'hw:tpm_version': '2.0'})

    def test_swap_and_ephemeral_disk(self):
        for size in ({'swap': 64}, {'ephemeral_gb': 1}):
            flavor = instance().flavor
            flavor.update(size)
            self._refused('m1.nano asks for swap', flavor=flavor)

    def test_ordinary_server(self):
        image_meta = objects.ImageMeta.from_dict({'id': uuids.image})
        spec.refuse_unsupported(instance(), image_meta, {
            'block_device_mapping': [], 'swap': None})
