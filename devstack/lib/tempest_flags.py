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

"""Print what Tempest has to know of the driver: section, option and value.

What the driver can do is read off the driver, so that Tempest tests a feature
from the commit on that brings it.
"""

from nova.virt import driver as nova_driver

import novadocker.virt.docker

# Options of [compute-feature-enabled], and the method that earns each.
EARNED = {
    'change_password': 'set_admin_password',
    'cold_migration': 'migrate_disk_and_power_off',
    'console_output': 'get_console_output',
    'interface_attach': 'attach_interface',
    'pause': 'pause',
    'rescue': 'rescue',
    'resize': 'migrate_disk_and_power_off',
    'shelve': 'snapshot',
    'snapshot': 'snapshot',
    'suspend': 'suspend',
}

# What needs a virtual machine: its memory image, its buses, its screen.
REFUSED = (
    'attach_encrypted_volume',
    'block_migration_for_live_migration',
    'ide_bus',
    'live_migration',
    'spice_console',
    'stable_rescue',
    'swap_volume',
    'vnc_console',
    'volume_backed_live_migration',
    'volume_multiattach',
)


def implements(driver, method: str) -> bool:
    """Whether a driver has a method of its own."""
    return (getattr(driver, method) is not
            getattr(nova_driver.ComputeDriver, method))


def flags(driver):
    """Yield section, option and value."""
    for option, method in EARNED.items():
        yield 'compute-feature-enabled', option, implements(driver, method)
    for option in REFUSED:
        yield 'compute-feature-enabled', option, False
    # DevStack's to switch on, with its proxy.
    if not implements(driver, 'get_serial_console'):
        yield 'compute-feature-enabled', 'serial_console', False
    if not implements(driver, 'attach_volume'):
        yield 'service_available', 'cinder', False


if __name__ == '__main__':
    for flag in flags(novadocker.virt.docker.DockerDriver):
        print(*flag)
