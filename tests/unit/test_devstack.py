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

"""What the DevStack plugin tells Tempest about the driver."""

import importlib.util
import pathlib

from nova.virt import driver as nova_driver

from tests import base

SCRIPT = (pathlib.Path(__file__).parents[2] / 'devstack' / 'lib' /
          'tempest_flags.py')


def load_script():
    """The script as a module; no package has it."""
    spec = importlib.util.spec_from_file_location('tempest_flags', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PausingDriver(nova_driver.ComputeDriver):

    def pause(self, instance):
        pass


class SerialDriver(nova_driver.ComputeDriver):

    def get_serial_console(self, context, instance):
        pass


class VolumeDriver(nova_driver.ComputeDriver):

    def attach_volume(self, *args, **kwargs):
        pass


class TempestFlagsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.script = load_script()

    def told(self, driver):
        return {(section, option): value
                for section, option, value in self.script.flags(driver)}

    def test_serial_console_is_devstacks_to_switch_on(self):
        option = 'compute-feature-enabled', 'serial_console'
        self.assertIs(False, self.told(PausingDriver)[option])
        self.assertNotIn(option, self.told(SerialDriver))

    def test_a_method_of_its_own_earns_its_flag_alone(self):
        earned = [option for (_section, option), value
                  in self.told(PausingDriver).items() if value]
        self.assertEqual(['pause'], earned)

    def test_every_method_is_one_of_novas(self):
        for method in self.script.EARNED.values():
            self.assertTrue(callable(getattr(nova_driver.ComputeDriver,
                                             method)))

    def test_refused_stays_refused(self):
        told = self.told(PausingDriver)
        for option in self.script.REFUSED:
            self.assertIs(False, told['compute-feature-enabled', option])

    def test_cinder_is_left_alone_by_a_driver_with_volumes(self):
        cinder = ('service_available', 'cinder')
        self.assertIs(False, self.told(PausingDriver)[cinder])
        self.assertNotIn(cinder, self.told(VolumeDriver))
