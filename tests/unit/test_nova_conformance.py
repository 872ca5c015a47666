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

"""Nova's own suite for any virt driver, run against ours."""

import fixtures
from nova import exception
from nova.network import model as network_model
from nova import test
from nova.tests.unit import utils as test_utils
from nova.tests.unit.virt import test_virt_drivers

from novadocker.virt.docker import inventory
from tests.fakes import engine_http
from tests.fakes import glance
from tests.fakes import kernel
from tests.fakes import ports


class DockerConformanceTest(test_virt_drivers._VirtDriverTestCase,
                            test.TestCase):
    def setUp(self):
        self.driver_module = 'nova.virt.novadocker.virt.docker.DockerDriver'
        self.useFixture(fixtures.MonkeyPatch(
            'nova.tests.fixtures.GlanceFixture', glance.StreamingGlance))
        engine = self.useFixture(engine_http.FakeEngine())
        self.useFixture(kernel.FakeKernel())
        super().setUp()
        self.connection._client.close()
        self.flags(host_url=engine.url, start_grace_period=0,
                   group='docker')
        self.connection = type(self.connection)(self.connection.virtapi)
        self.connection.init_host('myhostname')

    def _get_running_instance(self, obj=True):
        """With ports that have the names and addresses of real ones."""
        instance = test_utils.get_test_instance(obj=obj)
        # Nova's own has both, which a container does not get.
        instance.flavor.update({'swap': 0, 'ephemeral_gb': 0})
        network_info = network_model.NetworkInfo([
            ports.port(1, ports.subnet('10.0.0.0/24', '10.0.0.5'))])
        image_meta = test_utils.get_test_image_object(None, instance)
        self.connection.spawn(self.ctxt, instance, image_meta, [], 'herp',
                              {}, network_info=network_info)
        return instance, network_info

    def test_get_console_output(self):
        """Nova 34's compute manager wants bytes; its suite still a str."""
        instance, _network_info = self._get_running_instance()
        self.assertIsInstance(
            self.connection.get_console_output(self.ctxt, instance), bytes)

    def test_live_migration(self):
        """Refused before it begins, which leaves the server running."""
        instance, _network_info = self._get_running_instance()
        self.assertRaises(
            exception.MigrationPreCheckError,
            self.connection.check_can_live_migrate_destination,
            self.ctxt, instance, None, None)

    def test_snapshot_not_running(self):
        """Nova's manager takes its suite's exception for a deletion."""
        instance = test_utils.get_test_instance(obj=True)
        self.assertRaises(
            inventory.DiskLost, self.connection.snapshot, self.ctxt,
            instance, None, lambda *args, **kwargs: None)

    def test_trigger_crash_dump(self):
        instance, _network_info = self._get_running_instance()
        self.assertRaises(
            exception.TriggerCrashDumpNotSupported,
            self.connection.trigger_crash_dump, instance)

    def test_live_migration_force_complete(self):
        """Nova's test looks into what only libvirt has."""
        instance, _network_info = self._get_running_instance()
        self.assertRaises(
            NotImplementedError,
            self.connection.live_migration_force_complete, instance)

    def test_unrescue_rescued_instance(self):
        """Nova's test takes os.unlink away, which the fake engine needs."""
        self.assertRaises(
            NotImplementedError, self.connection.unrescue, self.ctxt, None)
