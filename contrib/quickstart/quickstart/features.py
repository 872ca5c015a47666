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


"""What the driver supports, as Tempest asks for it: the one place.

True where Tempest may test, else the reason why it must not. The names are
those of [compute-feature-enabled] in tempest.conf.
"""

_NOT_YET = 'the driver does not implement it'
_MOVES = 'a container cannot be moved while it runs'
_NO_SCREEN = 'a container has no screen'
_NO_CINDER = 'the quickstart has no Cinder'

COMPUTE = {
    'attach_encrypted_volume': _NO_CINDER,
    'block_migration_for_live_migration': _MOVES,
    'change_password': _NOT_YET,
    'cold_migration': 'the quickstart has one host',
    'config_drive': True,
    'console_output': True,
    'disk_config': True,
    'enable_instance_password': True,
    'ide_bus': 'a container has no buses',
    'interface_attach': _NOT_YET,
    'live_migration': _MOVES,
    'metadata_service': True,
    'pause': True,
    'personality': True,
    'rescue': _NOT_YET,
    'resize': _NOT_YET,
    'serial_console': _NOT_YET,
    'shelve': True,
    'snapshot': True,
    'spice_console': _NO_SCREEN,
    'stable_rescue': _NOT_YET,
    'suspend': _NOT_YET,
    'swap_volume': _NO_CINDER,
    'vnc_console': _NO_SCREEN,
    'volume_backed_live_migration': _MOVES,
    'volume_multiattach': _NO_CINDER,
}

# Tempest would count processors and read the uptime by ssh, and a container
# shows those of its host: what a server may use is set by quotas.
RUN_VALIDATION = False


def refused() -> dict[str, str]:
    """The reasons, by feature."""
    return {name: value for name, value in COMPUTE.items()
            if value is not True}
