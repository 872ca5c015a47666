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

"""The door to os-vif and, by os-vif's own connection, to Open vSwitch.

os-vif tells the switch which server a port is for, so that the ports of one
can be found whatever Neutron and Nova know of them by now.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
from typing import Any

from nova.network import model as network_model
from nova.network import os_vif_util
from nova import objects
import os_vif
from os_vif import exception as os_vif_exception
from os_vif import objects as os_vif_objects
from vif_plug_ovs.ovsdb import ovsdb_lib

from novadocker import conf

CONF = conf.CONF

# A port that no network ever has.
_NO_PORT = '00000000-0000-0000-0000-000000000000'

_PORT_ID = 'iface-id'

# Between a Linux bridge and the switch, at the switch's end.
_HYBRID_PREFIX = 'qvo'
# Between a bridge of the port's own, [os_vif_ovs] per_port_bridge, and br-int.
_PATCH_PREFIX = 'ibp'


class DatabaseError(Exception):
    """Open vSwitch's database cannot be asked."""


ERRORS = (os_vif_exception.ExceptionBase, DatabaseError)


@dataclasses.dataclass(frozen=True)
class Port:
    """A port of the switch, as os-vif made it for a server."""

    name: str
    bridge: str
    port_id: str
    mac: str


class Switch:
    """Open vSwitch on this host."""

    @functools.cached_property
    def _database(self) -> Any:
        """os-vif's, with its options; its process-wide connection too."""
        return ovsdb_lib.BaseOVS(CONF.os_vif_ovs)

    def load(self) -> None:
        """Load what os-vif consists of, its options included."""
        os_vif.initialize()

    def prepare(self) -> None:
        """Unplugging what was never plugged changes nothing.

        But it starts os-vif's own daemon and connects to the database.
        """
        os_vif.unplug(
            os_vif_util.nova_to_osvif_vif(as_vif(Port(
                '', CONF.neutron.ovs_bridge, _NO_PORT,
                '00:00:00:00:00:00'))),
            os_vif_objects.instance_info.InstanceInfo(
                uuid=_NO_PORT, name='none'))

    def connect(self, instance: 'objects.Instance', vif: network_model.VIF,
                userspace: bool) -> None:
        """Idempotent.

        :param userspace: whether the bridge is on the userspace datapath.
            Where Neutron does not tell, os-vif would set the bridge to the
            kernel's, and every port of it would go dead.
        """
        converted = os_vif_util.nova_to_osvif_vif(vif)
        if userspace and not vif['details'].get(
                network_model.VIF_DETAILS_OVS_DATAPATH_TYPE):
            converted.port_profile.datapath_type = (
                network_model.VIF_DETAILS_OVS_DATAPATH_NETDEV)
        os_vif.plug(converted,
                    os_vif_util.nova_to_osvif_instance(instance))

    def disconnect(self, instance: 'objects.Instance',
                   vif: network_model.VIF) -> None:
        """Idempotent."""
        os_vif.unplug(os_vif_util.nova_to_osvif_vif(vif),
                      os_vif_util.nova_to_osvif_instance(instance))

    def ports(self, instance: 'objects.Instance') -> list[Port]:
        """Every port that was connected for this server.

        :raises: DatabaseError
        """
        with _database_errors():
            ovsdb = self._database.ovsdb
            rows = ovsdb.db_find(
                'Interface',
                ('external_ids', '=', {'vm-uuid': instance.uuid}),
                columns=['name', 'external_ids']).execute(check_error=True)
            return [self._port(row) for row in rows or ()
                    if _PORT_ID in row['external_ids']]

    def _port(self, row: dict[str, Any]) -> Port:
        return Port(
            row['name'],
            self._database.ovsdb.iface_to_br(row['name']).execute(
                check_error=True),
            row['external_ids'][_PORT_ID],
            row['external_ids'].get('attached-mac', ''))


def as_vif(port: Port) -> network_model.VIF:
    """What Nova would know of it, enough to unplug it."""
    hybrid = port.name.startswith(_HYBRID_PREFIX)
    return network_model.VIF(
        id=port.port_id, address=port.mac,
        network=network_model.Network(id=_NO_PORT, bridge=port.bridge),
        type=network_model.VIF_TYPE_OVS,
        devname=('tap' + port.port_id)[:network_model.NIC_NAME_LEN],
        details={network_model.VIF_DETAILS_OVS_HYBRID_PLUG: hybrid})


def port_name(vif: network_model.VIF) -> str:
    """The port's name on the switch, as os-vif chooses it."""
    if vif.is_hybrid_plug_enabled():
        return str(_HYBRID_PREFIX + vif['id'])[:network_model.NIC_NAME_LEN]
    if CONF.os_vif_ovs.per_port_bridge:
        return _PATCH_PREFIX + str(vif['id'])
    return str(vif['devname'])


def connects(port: Port, vif: network_model.VIF) -> bool:
    """Whether plugging would change nothing.

    Of a hybrid plug the switch sees a part only.
    """
    return port == Port(vif['devname'], vif['network']['bridge'], vif['id'],
                        vif['address'])


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except Exception as err:  # so does the library raise
        raise DatabaseError(
            "Open vSwitch's database at %s: %s"
            % (CONF.os_vif_ovs.ovsdb_connection, err)) from err
