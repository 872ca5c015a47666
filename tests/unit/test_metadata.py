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

"""Config drive and injected files, with the whole driver."""

import os
import stat
from unittest import mock

from nova import objects
from oslo_utils.fixture import uuidsentinel as uuids

from novadocker import conf
from novadocker.virt.docker import metadataops
from novadocker.virt.docker import names
from tests.unit import driver_case

CONF = conf.CONF


class MetadataTest(driver_case.DriverCase):
    def setUp(self):
        super().setUp()
        built = mock.patch.object(
            metadataops.instance_metadata, 'InstanceMetadata').start()
        self.addCleanup(mock.patch.stopall)
        built.return_value.metadata_for_config_drive.return_value = [
            ('openstack/latest/meta_data.json', b'{"uuid": "x"}'),
            ('openstack/latest/user_data', '#!/bin/sh')]
        self.built = built
        self.directory = os.path.join(CONF.instances_path, uuids.server)

    def _spawn(self, config_drive='True', files=()):
        instance = self.instance()
        instance.config_drive = config_drive
        self.driver.spawn(
            self.context, instance, objects.ImageMeta.from_dict(
                self.glance.show(None, self.image)), list(files), 'secret',
            {}, network_info=self.network_info)
        return instance

    def test_config_drive(self):
        self._spawn()
        drive = os.path.join(self.directory, 'config-drive')
        with open(os.path.join(
                drive, 'openstack/latest/meta_data.json')) as meta_data:
            self.assertEqual('{"uuid": "x"}', meta_data.read())
        workload = self.engine.get(names.workload(uuids.server))
        self.assertEqual(['%s:/config-drive:ro' % drive],
                         workload.host_config['Binds'])
        self.assertEqual({'admin_pass': 'secret'},
                         self.built.call_args.kwargs['extra_md'])

    def test_others_on_the_host_cannot_read_it(self):
        self._spawn()
        mode = stat.S_IMODE(os.stat(self.directory).st_mode)
        self.assertEqual(0o700, mode)

    def test_server_without_config_drive(self):
        self._spawn(config_drive='')
        self.assertFalse(os.path.exists(self.directory))

    def test_injected_files(self):
        self._spawn(config_drive='', files=[('/etc/motd', b'hello')])
        workload = self.engine.get(names.workload(uuids.server))
        self.assertIn('etc/motd', workload.files()['/'])

    def test_removed_with_the_server(self):
        instance = self._spawn()
        self.driver.destroy(self.context, instance, self.network_info)
        self.assertFalse(os.path.exists(self.directory))

    def test_removed_when_the_spawn_fails(self):
        self.kernel.fail_next('build_interface', OSError('injected'))
        self.assertRaises(Exception, self._spawn)  # noqa: H202
        self.assertFalse(os.path.exists(self.directory))
