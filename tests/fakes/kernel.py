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


"""What the kernel, rootwrap and Open vSwitch hold, as far as we change it.

Replaces the verbs of ``novadocker.privileged`` and of os-vif by a state
machine that behaves as they do; ``tests/contract/network_contract.py`` is
run on both.
"""

import copy
import dataclasses
import errno

import fixtures
import os_vif
from os_vif import exception as os_vif_exception

_VERBS = {
    'novadocker.privileged': ('start_daemon',),
    'novadocker.privileged.files': ('write_name_service',),
    'novadocker.privileged.interfaces': (
        'build_interface', 'delete_interface', 'link_kind',
        'list_interfaces', 'prune_interface', 'set_master'),
    'novadocker.privileged.namespaces': ('first_namespace',),
    'novadocker.privileged.netns_links': (
        'link_namespace', 'unlink_namespace'),
    'os_vif': ('initialize', 'plug', 'unplug'),
}


@dataclasses.dataclass
class Link:
    """A device on the host; a veth has its other end in a namespace."""

    kind: str
    namespace: str = ''
    name: str = ''
    mac: str = ''
    mtu: int = 0
    addresses: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    checksum_offload: bool = True
    master: str = ''

    def replace_routes(self, routes) -> None:
        """A namespace knows one way to each destination."""
        others = {destination for destination, _gateway in routes}
        self.routes = tuple(route for route in self.routes
                            if route[0] not in others)


@dataclasses.dataclass
class Port:
    """A row of Open vSwitch's Port and Interface tables."""

    bridge: str
    interface_id: str
    mac: str
    instance_uuid: str

    def external_ids(self) -> dict[str, str]:
        return {'iface-id': self.interface_id, 'attached-mac': self.mac,
                'vm-uuid': self.instance_uuid}


class FakeKernel(fixtures.Fixture):
    """Links, namespaces, ports and files, as a test of the driver sees them.

    ``links`` by host name, ``ports`` by name, ``netns_links`` from path to
    namespace, ``files`` from path to content (they belong to containers, so
    ``state`` leaves them out), ``kinds`` of the bridges of the host.
    """

    def _setUp(self):
        self.links: dict[str, Link] = {}
        self.ports: dict[str, Port] = {}
        self.netns_links: dict[str, str] = {}
        self.files: dict[str, tuple] = {}
        self.kinds = {'br-int': 'openvswitch'}
        self.calls: list[str] = []
        self._ended: set[str] = set()
        self._failures: dict[str, list[Exception]] = {}
        os_vif.initialize()  # loads plug-ins and their options, no more
        self.useFixture(fixtures.MonkeyPatch(
            'vif_plug_ovs.ovsdb.api.get_instance',
            lambda context, interface: _Database(self)))
        for module, verbs in _VERBS.items():
            for verb in verbs:
                self.useFixture(fixtures.MonkeyPatch(
                    '%s.%s' % (module, verb), self._verb(verb)))

    def fail_next(self, verb: str, error: Exception) -> None:
        """Let the next call of a verb raise, before it changes anything.

        :param verb: a function of ``novadocker.privileged``, such as
            ``build_interface``, or ``plug`` or ``unplug`` of os-vif
        """
        if not any(verb in verbs for verbs in _VERBS.values()):
            raise ValueError('no such verb: %s' % verb)
        self._failures.setdefault(verb, []).append(error)

    def state(self) -> dict:
        """All that a server may leave behind, to be compared."""
        return copy.deepcopy({'links': self.links, 'ports': self.ports,
                              'netns_links': self.netns_links})

    def interfaces(self, namespace: str) -> dict[str, Link]:
        """The links of a namespace, by their names inside."""
        return {link.name: link for link in self.links.values()
                if link.namespace == namespace}

    def end_namespace(self, namespace: str) -> None:
        """The last process is gone: a veth goes with either of its ends."""
        for host_name in [name for name, link in self.links.items()
                          if link.namespace == namespace]:
            del self.links[host_name]
        self._ended.add(namespace)

    def _verb(self, verb):
        def call(*args, **kwargs):
            self.calls.append(verb)
            if self._failures.get(verb):
                raise self._failures[verb].pop(0)
            return getattr(self, '_' + verb)(*args, **kwargs)
        return call

    # novadocker.privileged

    def _start_daemon(self):
        pass

    def _link_namespace(self, netns_path, link, root_helper):
        self.netns_links[link] = netns_path

    def _unlink_namespace(self, link, root_helper):
        self.netns_links.pop(link, None)

    def _first_namespace(self, paths):
        return paths[0]

    def _link_kind(self, name):
        return self.kinds.get(name, '')

    def _build_interface(self, netns_path, host_name, name, mac, mtu,
                         addresses, routes, checksum_offload):
        if netns_path in self._ended:
            raise FileNotFoundError(errno.ENOENT, 'No such namespace')
        old = self.links.get(host_name)
        kept = old is not None and old.namespace == netns_path
        if not kept:
            self.links.pop(host_name, None)
            if name in self.interfaces(netns_path):
                raise FileExistsError(errno.EEXIST, 'File exists')
            old = self.links[host_name] = Link('veth', netns_path, name)
        for link in self.interfaces(netns_path).values():
            link.replace_routes(routes)
        self.links[host_name] = dataclasses.replace(
            old, mac=mac, mtu=mtu, checksum_offload=checksum_offload,
            addresses=_with(old.addresses, addresses),
            routes=_with(old.routes, routes))
        return not kept

    def _list_interfaces(self, netns_path):
        if netns_path in self._ended:
            raise FileNotFoundError(errno.ENOENT, 'No such namespace')
        return {'lo': ''} | {
            link.name: host_name for host_name, link in self.links.items()
            if link.namespace == netns_path}

    def _prune_interface(self, netns_path, host_name, addresses, routes):
        link = self._existing(host_name)
        link.addresses, link.routes = tuple(addresses), tuple(routes)

    def _set_master(self, host_name, bridge):
        self._existing(bridge)
        self._existing(host_name).master = bridge

    def _delete_interface(self, host_name):
        self.links.pop(host_name, None)

    def _write_name_service(self, resolv_conf_path, hosts_path, nameservers,
                            search_domains, hosts):
        self.files[resolv_conf_path] = (tuple(nameservers),
                                        tuple(search_domains))
        self.files[hosts_path] = tuple(
            (address, tuple(names)) for address, names in hosts.items())

    def _existing(self, name) -> Link:
        if name not in self.links:
            raise FileNotFoundError(errno.ENODEV,
                                    'No such device: %s' % name)
        return self.links[name]

    # os-vif

    def _initialize(self, reset=False):
        pass

    def _plug(self, vif, instance_info):
        profile = vif.port_profile
        port = Port(vif.network.bridge, profile.interface_id, vif.address,
                    instance_info.uuid)
        if _is_hybrid(vif):
            self.links.setdefault(vif.bridge_name, Link('bridge'))
            self.ports[_hybrid_port(vif)] = port
            return
        if not profile.create_port:
            return
        self.ports[vif.vif_name] = port
        if profile.create_tap:
            self.links.setdefault(vif.vif_name, Link('tun'))

    def _unplug(self, vif, instance_info):
        if _is_hybrid(vif):
            self.ports.pop(_hybrid_port(vif), None)
            self.links.pop(vif.bridge_name, None)
            return
        self.ports.pop(vif.vif_name, None)
        self.links.pop(vif.vif_name, None)


class _Database:
    """What os-vif's library answers of the switch."""

    def __init__(self, kernel: FakeKernel):
        self._kernel = kernel

    def db_find(self, table, condition, columns):
        _column, _operator, wanted = condition
        return _Command(lambda: [
            {'name': name, 'external_ids': port.external_ids()}
            for name, port in self._kernel.ports.items()
            if wanted.items() <= port.external_ids().items()])

    def iface_to_br(self, name):
        return _Command(lambda: self._kernel.ports[name].bridge)


class _Command:
    def __init__(self, answer):
        self._answer = answer

    def execute(self, check_error):
        return self._answer()


def plug_error(reason: str) -> Exception:
    """What os-vif raises for whatever went wrong beneath it."""
    return os_vif_exception.PlugException(vif='VIF(...)', err=reason)


def _with(present: tuple, wanted) -> tuple:
    return present + tuple(one for one in wanted if one not in present)


def _is_hybrid(vif) -> bool:
    return isinstance(vif, os_vif.objects.vif.VIFBridge)


def _hybrid_port(vif) -> str:
    return ('qvo' + vif.id)[:14]
