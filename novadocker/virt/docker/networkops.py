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
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses

from nova import exception as nova_exception
from nova.network import model as network_model
from nova import objects
from nova import utils
from nova.virt import virtapi as nova_virtapi
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
from novadocker.virt.docker import switch

CONF = conf.CONF
LOG = logging.getLogger(__name__)

# Device kinds of the bridge itself, by datapath.
_KERNEL_BRIDGE = 'openvswitch'
_USERSPACE_BRIDGE = 'tun'

_ERRORS = novadocker.privileged.ERRORS + switch.ERRORS


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

    def __init__(self, virtapi: nova_virtapi.VirtAPI) -> None:
        self._virtapi = virtapi
        self._switch = switch.Switch()

    def prepare_host(self) -> None:
        """Start what the first plug would else wait seconds for.

        Without Open vSwitch the host can still run servers without ports,
        so that it is missing is only a warning.
        """
        self._switch.load()
        try:
            novadocker.privileged.start_daemon()
            self._switch.prepare()
        except Exception as err:  # nothing depends on a warm start
            LOG.warning(
                'Ports cannot be plugged on this host at present: %s. Check '
                'that Open vSwitch runs and listens at [os_vif_ovs] '
                'ovsdb_connection = %s, and that nova-compute may run '
                'privsep-helper as root.', _reason(err),
                CONF.os_vif_ovs.ovsdb_connection)

    @contextlib.contextmanager
    def wait_until_wired(self, instance: 'objects.Instance',
                         network_info: network_model.NetworkInfo
                         ) -> Iterator[None]:
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

    def plug_all(self, instance: 'objects.Instance',
                 network_info: network_model.NetworkInfo,
                 sandbox: model.Container) -> None:
        """Make the sandbox's namespace show these ports, as they are now.

        Nothing less and nothing more: ports that are not among them are
        unplugged, also those that only the switch still knows of. Nothing is
        written where nothing changed. A new port that fails leaves nothing
        behind; what came before it stays until ``unplug_all``.

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
            self._reconcile(instance, vifs, namespace)
            self._set_name_service(instance, vifs, sandbox)
            with _plug_errors(_("of the server")):
                link.result()

    def unplug_all(self, instance: 'objects.Instance',
                   network_info: network_model.NetworkInfo) -> None:
        """Take back ``plug_all``; what is not there is not missed.

        Every port of the server goes, whether it is among these or not.

        :raises: VirtualInterfaceUnplugException, after every step was tried
        """
        vifs = [vif for vif in network_info if not netconfig.refusal(vif)]
        with rollback.each_step(instance) as step:
            for vif in vifs:
                step('unplug port %s' % vif['id'],
                     self._unplug, instance, vif)
            step('unplug other ports', self._unplug_others, instance, vifs)
            step('remove namespace link', _unlink_namespace, instance)

    def _reconcile(self, instance: 'objects.Instance',
                   vifs: Sequence[network_model.VIF],
                   namespace: str) -> None:
        """Ports that stay come first: where another goes, one of them has
        taken over its default route by then.
        """
        with _plug_errors(_("of the server")):
            present = self._look(instance, vifs, namespace)
        wanted = list(zip(vifs, netconfig.interfaces(
            vifs, present.kernel_bridges(), present.interfaces)))
        for vif, interface in wanted:
            if present.has(interface):
                self._plug(instance, vif, interface, present)
        self._remove_stale(instance, vifs, present)
        for vif, interface in wanted:
            if not present.has(interface):
                self._plug(instance, vif, interface, present)
        for vif, interface in wanted:
            with _plug_errors(vif['id']):
                _prune(interface, namespace)

    def _look(self, instance: 'objects.Instance',
              vifs: Sequence[network_model.VIF],
              namespace: str) -> '_Present':
        interfaces = novadocker.privileged.interfaces
        bridges = {vif['network']['bridge'] for vif in vifs}
        return _Present(
            namespace, interfaces.list_interfaces(namespace),
            {bridge: interfaces.link_kind(bridge) for bridge in bridges},
            {port.port_id: port
             for port in self._connected(instance, vifs)})

    def _connected(self, instance: 'objects.Instance',
                   vifs: Sequence[network_model.VIF]) -> list[switch.Port]:
        """Servers without ports do without Open vSwitch too."""
        try:
            return self._switch.ports(instance)
        except switch.DatabaseError as err:
            if vifs:
                raise
            LOG.warning('Cannot look for ports that were left behind: %s',
                        err, instance=instance)
            return []

    def _plug(self, instance: 'objects.Instance', vif: network_model.VIF,
              interface: netconfig.Interface, present: '_Present') -> None:
        port = present.ports.get(vif['id'])
        is_kept = present.has(interface) and (
            port is None or port.name == switch.port_name(vif))
        with _plug_errors(vif['id']), rollback.Rollback(instance) as undo:
            if not is_kept:
                undo.push('unplug port %s' % vif['id'],
                          self._unplug, instance, vif)
                if port:
                    # In userspace the switch goes on to use the device that
                    # is gone, even when another of its name is made.
                    self._unplug(instance, switch.as_vif(port))
            is_new = _build(interface, present.namespace)
            if is_new or port is None or not switch.connects(port, vif):
                self._connect(instance, vif, present)

    def _connect(self, instance: 'objects.Instance', vif: network_model.VIF,
                 present: '_Present') -> None:
        kind = present.bridge_kinds[vif['network']['bridge']]
        self._switch.connect(instance, vif, kind == _USERSPACE_BRIDGE)
        bridge = netconfig.hybrid_bridge(vif)
        if bridge:
            novadocker.privileged.interfaces.set_master(
                vif['devname'], bridge)

    def _remove_stale(self, instance: 'objects.Instance',
                      vifs: Sequence[network_model.VIF],
                      present: '_Present') -> None:
        stale = dict(present.ports)
        devices = set(present.interfaces.values()) - {''}
        for vif in vifs:
            stale.pop(vif['id'], None)
            devices.discard(vif['devname'])
        for port in stale.values():
            with _plug_errors(port.port_id):
                self._unplug(instance, switch.as_vif(port))
        for device in devices:
            with _plug_errors(device):
                novadocker.privileged.interfaces.delete_interface(device)

    def _unplug(self, instance: 'objects.Instance',
                vif: network_model.VIF) -> None:
        with rollback.each_step(instance) as step:
            step('disconnect port %s' % vif['id'],
                 self._disconnect, instance, vif)
            step('delete %s' % vif['devname'], _delete_interface, vif)

    def _disconnect(self, instance: 'objects.Instance',
                    vif: network_model.VIF) -> None:
        with _unplug_errors():
            self._switch.disconnect(instance, vif)

    def _unplug_others(self, instance: 'objects.Instance',
                       vifs: Sequence[network_model.VIF]) -> None:
        """A port deleted in Neutron is none that Nova knows of.

        os-vif writes to the log what the database refused, and goes on.
        """
        with _unplug_errors():
            ports = self._connected(instance, vifs)
        unplugged = {vif['id'] for vif in vifs}
        with rollback.each_step(instance) as step:
            for port in ports:
                step('unplug port %s' % port.port_id,
                     _still_there if port.port_id in unplugged
                     else self._unplug, instance, switch.as_vif(port))

    def _set_name_service(self, instance: 'objects.Instance',
                          vifs: Sequence[network_model.VIF],
                          sandbox: model.Container) -> None:
        """Always written, also when Neutron names no server.

        The engine's own resolv.conf is the host's: a tenant's names would
        be looked up in the operator's network.
        """
        service = netconfig.name_service(
            vifs, instance.hostname, CONF.docker.dns_servers)
        with _plug_errors(_("of the server")):
            novadocker.privileged.files.write_name_service(
                sandbox.resolv_conf_path, sandbox.hosts_path,
                list(service.nameservers), list(service.search_domains),
                {address: list(aliases)
                 for address, aliases in service.hosts.items()})


@dataclasses.dataclass(frozen=True)
class _Present:
    """What there is before anything is plugged.

    ``interfaces``: names inside the namespace, with those of the host ends.
    ``bridge_kinds`` by bridge, ``ports`` of the switch by Neutron's id.
    """

    namespace: str
    interfaces: Mapping[str, str]
    bridge_kinds: Mapping[str, str]
    ports: Mapping[str, switch.Port]

    def has(self, interface: netconfig.Interface) -> bool:
        return interface.host_name in self.interfaces.values()

    def kernel_bridges(self) -> list[str]:
        return [bridge for bridge, kind in self.bridge_kinds.items()
                if kind == _KERNEL_BRIDGE]


def _awaited_events(network_info: network_model.NetworkInfo
                    ) -> list[tuple[str, str]]:
    if not CONF.vif_plugging_timeout:
        return []
    return [('network-vif-plugged', vif['id']) for vif in network_info
            if vif.get('active', True) is False]


def _wiring_failed(event_name: str, instance: 'objects.Instance') -> None:
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
    return bool(novadocker.privileged.interfaces.build_interface(
        namespace, interface.host_name, interface.name, interface.mac,
        interface.mtu, list(interface.addresses), _pairs(interface),
        interface.checksum_offload))


def _prune(interface: netconfig.Interface, namespace: str) -> None:
    novadocker.privileged.interfaces.prune_interface(
        namespace, interface.host_name, list(interface.addresses),
        _pairs(interface))


def _pairs(interface: netconfig.Interface) -> list[tuple[str, str]]:
    return [(route.destination, route.gateway or '')
            for route in interface.routes]


def _delete_interface(vif: network_model.VIF) -> None:
    with _unplug_errors():
        novadocker.privileged.interfaces.delete_interface(vif['devname'])


def _still_there(instance: 'objects.Instance',
                 vif: network_model.VIF) -> None:
    raise nova_exception.VirtualInterfaceUnplugException(
        reason=_("Open vSwitch still has port %s") % vif['id'])


def _unlink_namespace(instance: 'objects.Instance') -> None:
    with _unplug_errors():
        novadocker.privileged.netns_links.unlink_namespace(
            names.netns_link(instance.uuid), utils.get_root_helper())


@contextlib.contextmanager
def _plug_errors(port: str) -> Iterator[None]:
    try:
        yield
    except (*_ERRORS, nova_exception.VirtualInterfaceUnplugException) as err:
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
