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


"""A server's ports, plugged into the namespace that its sandbox holds.

Per port: a veth whose host end has Neutron's name for the device, its other
end configured inside the namespace; then os-vif, which connects the host end
to Open vSwitch. The veth comes first, as os-vif makes a tap device of that
name if it finds none.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import contextlib

from nova import exception as nova_exception
from nova.network import model as network_model
from nova.network import os_vif_util
from nova import utils
import os_vif
from os_vif import exception as os_vif_exception
from os_vif import objects as os_vif_objects
from oslo_log import log as logging

from novadocker import conf
from novadocker.i18n import _
import novadocker.privileged.checks
import novadocker.privileged.files
import novadocker.privileged.interfaces
import novadocker.privileged.namespaces
import novadocker.privileged.netns_links
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from novadocker.virt.docker import netconfig
from novadocker.virt.docker import rollback

CONF = conf.CONF
LOG = logging.getLogger(__name__)

# Device kinds of the bridge itself, by datapath.
_KERNEL_BRIDGE = 'openvswitch'
_USERSPACE_BRIDGE = 'tun'

_ERRORS = novadocker.privileged.ERRORS + (os_vif_exception.ExceptionBase,)

# A port that no network ever has.
_NO_PORT = '00000000-0000-0000-0000-000000000000'


class PlugFailed(nova_exception.VirtualInterfaceCreateException,
                 nova_exception.VirtualInterfacePlugException):
    """Both of Nova's: the one ends a build, the other spares a service.

    While a server is built Nova gives up, with this message, on a
    VirtualInterfaceCreateException only; while nova-compute starts it goes
    on to the next server after a VirtualInterfacePlugException only.
    """

    msg_fmt = _("Cannot plug port %(port)s: %(reason)s")


class NetworkOps:
    """Networks of servers on this host; holds no state of its own."""

    def __init__(self, virtapi):
        self._virtapi = virtapi

    def prepare_host(self) -> None:
        """Start what the first plug would else wait seconds for.

        Without Open vSwitch the host can still run servers without ports,
        so that it is missing is only a warning.
        """
        os_vif.initialize()
        try:
            novadocker.privileged.start_daemon()
            # Unplugging what was never plugged changes nothing, but it
            # starts os-vif's own daemon and connects to the database.
            os_vif.unplug(_unplugged_vif(), os_vif_objects.instance_info.
                          InstanceInfo(uuid=_NO_PORT, name='none'))
        except Exception as err:  # nothing depends on a warm start
            LOG.warning(
                'Ports cannot be plugged on this host at present: %s. Check '
                'that Open vSwitch runs and listens at [os_vif_ovs] '
                'ovsdb_connection = %s, and that nova-compute may run '
                'privsep-helper as root.', _reason(err),
                CONF.os_vif_ovs.ovsdb_connection)

    @contextlib.contextmanager
    def wait_until_wired(self, instance, network_info) -> Iterator[None]:
        """Leave the block when Neutron says that the ports work.

        The block has to plug them. Ports that are active at its start are
        not waited for.

        :raises: VirtualInterfaceCreateException on a failure or a timeout,
            if [DEFAULT] vif_plugging_is_fatal
        """
        events = _awaited_events(network_info)
        timeout_s = CONF.vif_plugging_timeout
        try:
            with self._virtapi.wait_for_instance_event(
                    instance, events, timeout=timeout_s,
                    error_callback=_wiring_failed):
                yield
        except nova_exception.InstanceEventTimeout as err:
            ports = ', '.join(port for _event, port in events)
            LOG.warning('Neutron did not report within %d s that it has '
                        'wired these ports: %s', timeout_s, ports,
                        instance=instance)
            if CONF.vif_plugging_is_fatal:
                raise nova_exception.VirtualInterfaceCreateException(
                    _("Neutron did not report within %(timeout)d seconds "
                      "that it has wired ports %(ports)s")
                    % {'timeout': timeout_s, 'ports': ports}) from err

    def plug_all(self, instance, network_info,
                 sandbox: model.Container) -> None:
        """Give the sandbox's namespace the server's complete network.

        Idempotent, and right again for the new namespace of a restarted
        sandbox. A port that fails leaves nothing behind; what came before
        it stays until ``unplug_all``.

        :param sandbox: as inspected while it runs
        :raises: PlugFailed
        """
        vifs = list(network_info)
        _refuse_unsupported(vifs)
        with _plug_errors(_("of the server")):
            namespace = novadocker.privileged.namespaces.first_namespace(
                _namespaces(sandbox))
        # Rootwrap takes longer for the link than all the rest.
        with futures.ThreadPoolExecutor(max_workers=1) as beside:
            link = beside.submit(
                novadocker.privileged.netns_links.link_namespace, namespace,
                names.netns_link(instance.uuid), utils.get_root_helper())
            self._plug_each(instance, vifs, namespace)
            self._set_name_service(instance, vifs, sandbox)
            with _plug_errors(_("of the server")):
                link.result()

    def unplug_all(self, instance, network_info) -> None:
        """Take back ``plug_all``; what is not there is not missed.

        :raises: VirtualInterfaceUnplugException, after every step was tried
        """
        with rollback.each_step(instance) as step:
            for vif in network_info:
                step('unplug port %s' % vif['id'], _unplug, instance, vif)
            step('remove namespace link', _unlink_namespace, instance)

    def _plug_each(self, instance, vifs, namespace: str) -> None:
        with _plug_errors(_("of the server")):
            bridges = {vif['network']['bridge'] for vif in vifs}
            kinds = {
                bridge: novadocker.privileged.interfaces.link_kind(bridge)
                for bridge in bridges}
        kernel_bridges = [bridge for bridge, kind in kinds.items()
                          if kind == _KERNEL_BRIDGE]
        for vif, interface in zip(
                vifs, netconfig.interfaces(vifs, kernel_bridges)):
            with _plug_errors(vif['id']):
                self._plug(instance, vif, interface, namespace,
                           kinds[vif['network']['bridge']])

    def _plug(self, instance, vif, interface: netconfig.Interface,
              namespace: str, bridge_kind: str) -> None:
        with rollback.Rollback(instance) as undo:
            if _build(interface, namespace):
                undo.push('unplug port %s' % vif['id'],
                          _unplug, instance, vif)
            os_vif.plug(_os_vif(vif, bridge_kind),
                        os_vif_util.nova_to_osvif_instance(instance))
            bridge = netconfig.hybrid_bridge(vif)
            if bridge:
                novadocker.privileged.interfaces.set_master(
                    interface.host_name, bridge)

    def _set_name_service(self, instance, vifs,
                          sandbox: model.Container) -> None:
        """Always written, also when Neutron names no server.

        The engine's own resolv.conf is the host's: a tenant's names would
        be looked up in the operator's network.
        """
        service = netconfig.name_service(vifs, instance.hostname)
        with _plug_errors(_("of the server")):
            novadocker.privileged.files.write_name_service(
                sandbox.resolv_conf_path, sandbox.hosts_path,
                list(service.nameservers), list(service.search_domains),
                {address: list(aliases)
                 for address, aliases in service.hosts.items()})


def _awaited_events(network_info) -> list[tuple[str, str]]:
    if not CONF.vif_plugging_timeout:
        return []
    return [('network-vif-plugged', vif['id']) for vif in network_info
            if vif.get('active', True) is False]


def _wiring_failed(event_name: str, instance) -> None:
    LOG.error('Neutron failed to wire a port: %s', event_name,
              instance=instance)
    if CONF.vif_plugging_is_fatal:
        raise nova_exception.VirtualInterfaceCreateException(
            _("Neutron failed to wire a port (%s)") % event_name)


def _refuse_unsupported(vifs: Iterable[network_model.VIF]) -> None:
    """Before anything is touched: a retry would not help."""
    for vif in vifs:
        reason = netconfig.refusal(vif)
        if reason:
            raise PlugFailed(port=vif['id'], reason=reason)


def _namespaces(sandbox: model.Container) -> list[str]:
    """The engine's handle, which survives its process, and the process's."""
    paths = ['/proc/%d/ns/net' % sandbox.pid] if sandbox.pid else []
    if novadocker.privileged.checks.NETNS_PATH.fullmatch(sandbox.netns_path):
        paths.insert(0, sandbox.netns_path)
    return paths


def _build(interface: netconfig.Interface, namespace: str) -> bool:
    return novadocker.privileged.interfaces.build_interface(
        namespace, interface.host_name, interface.name, interface.mac,
        interface.mtu, list(interface.addresses),
        [(route.destination, route.gateway or '')
         for route in interface.routes], interface.checksum_offload)


def _os_vif(vif, bridge_kind: str):
    """As os-vif wants it, with the datapath that the bridge has.

    Where Neutron does not tell, os-vif would set the bridge to the kernel's
    datapath, and every port of a bridge in userspace would go dead.
    """
    converted = os_vif_util.nova_to_osvif_vif(vif)
    if bridge_kind == _USERSPACE_BRIDGE and not vif['details'].get(
            network_model.VIF_DETAILS_OVS_DATAPATH_TYPE):
        converted.port_profile.datapath_type = (
            network_model.VIF_DETAILS_OVS_DATAPATH_NETDEV)
    return converted


def _unplug(instance, vif) -> None:
    with rollback.each_step(instance) as step:
        if netconfig.refusal(vif) is None:
            step('disconnect port %s' % vif['id'],
                 _disconnect, instance, vif)
            step('delete %s' % vif['devname'], _delete_interface, vif)


def _disconnect(instance, vif) -> None:
    with _unplug_errors():
        os_vif.unplug(os_vif_util.nova_to_osvif_vif(vif),
                      os_vif_util.nova_to_osvif_instance(instance))


def _delete_interface(vif) -> None:
    with _unplug_errors():
        novadocker.privileged.interfaces.delete_interface(vif['devname'])


def _unlink_namespace(instance) -> None:
    with _unplug_errors():
        novadocker.privileged.netns_links.unlink_namespace(
            names.netns_link(instance.uuid), utils.get_root_helper())


@contextlib.contextmanager
def _plug_errors(port: str) -> Iterator[None]:
    try:
        yield
    except _ERRORS as err:
        raise PlugFailed(port=port, reason=_reason(err)) from err


@contextlib.contextmanager
def _unplug_errors() -> Iterator[None]:
    try:
        yield
    except _ERRORS as err:
        raise nova_exception.VirtualInterfaceUnplugException(
            reason=_reason(err)) from err


def _reason(err: Exception) -> str:
    """os-vif prints the whole port before it comes to the point."""
    return str(getattr(err, 'kwargs', {}).get('err', err))


def _unplugged_vif():
    network = network_model.Network(
        id=_NO_PORT, bridge=CONF.neutron.ovs_bridge)
    return os_vif_util.nova_to_osvif_vif(network_model.VIF(
        id=_NO_PORT, address='00:00:00:00:00:00', network=network,
        type=network_model.VIF_TYPE_OVS,
        devname=('tap' + _NO_PORT)[:network_model.NIC_NAME_LEN]))
