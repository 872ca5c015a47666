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


"""Private Open vSwitch and OVN: userspace datapath, sockets of their own.

The userspace datapath needs no kernel module, only /dev/net/tun.
"""

import pathlib

from quickstart import problem
from quickstart import processes
from quickstart import settings as settings_
from quickstart import shell

_OVS_SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
_OVN_SCHEMA = '/usr/share/ovn/ovn-%s.ovsschema'
_PATIENCE_S = 20
_TALK_TO_STDERR = ('-vconsole:info', '-vsyslog:off')

# Every Open vSwitch with a userspace datapath makes ovs-netdev, so that there
# can be one in a network namespace.
DEVICES = (settings_.INTEGRATION_BRIDGE, settings_.PUBLIC_BRIDGE,
           'ovs-netdev')


def databases(settings) -> list[processes.Process]:
    """The three OVSDB servers: the switch's, OVN's north and south."""
    return [_database(settings, name) for name in ('db', 'nb', 'sb')]


def switch(settings) -> processes.Process:
    return _daemon(settings, 'ovs-vswitchd', _socket(settings, 'db'))


def northd(settings) -> processes.Process:
    return _daemon(settings, 'ovn-northd',
                   '--ovnnb-db=' + _socket(settings, 'nb'),
                   '--ovnsb-db=' + _socket(settings, 'sb'))


def controller(settings) -> processes.Process:
    return processes.Process('ovn-controller', (
        '/usr/bin/ovn-controller', _socket(settings, 'db'),
        *_TALK_TO_STDERR))


def daemons(settings) -> list[processes.Process]:
    return [*databases(settings), switch(settings), northd(settings),
            controller(settings)]


def running(settings) -> bool:
    return switch(settings).pid(settings) is not None


def ensure(settings) -> str:
    """Start the daemons that do not run, and configure the chassis."""
    settings.ovs.mkdir(parents=True, exist_ok=True)
    began = not running(settings)
    for name in ('db', 'nb', 'sb'):
        _ensure_database(settings, name)
    _devices_note(settings).touch()
    _configure_chassis(settings)
    _start(settings, switch(settings))
    _start(settings, northd(settings))
    _ensure_bridges(settings)
    _connect_controller(settings)
    return 'started' if began else 'runs'


def vsctl(settings, *words, check=True) -> str:
    return shell.output(settings, (
        'ovs-vsctl', '--db=' + _socket(settings, 'db'), '--timeout=20',
        *words), check=check)


def ports(settings) -> list[str]:
    """The ports of the integration bridge."""
    return vsctl(settings, 'list-ports',
                 settings_.INTEGRATION_BRIDGE).split()


def owns_devices(settings) -> bool:
    """Whether devices of the bridges' names, if any, are this cloud's."""
    return _devices_note(settings).exists()


def _devices_note(settings) -> pathlib.Path:
    return settings.state / 'ovs' / 'devices-are-ours'


def stop(settings) -> None:
    """End the daemons; no bridge is left in the kernel.

    ovn-controller goes first, as it makes a bridge that it misses.
    """
    processes.stop_all(settings, [controller(settings), northd(settings)])
    if running(settings):
        for bridge in vsctl(settings, 'list-br', check=False).split():
            vsctl(settings, 'del-br', bridge, check=False)
    processes.stop_all(settings, daemons(settings))
    if owns_devices(settings):
        for device in DEVICES:
            shell.output(settings, ('ip', 'link', 'delete', device),
                         check=False)


def remove_namespaces(settings) -> None:
    """Remove the metadata namespaces that came after ``up`` began."""
    path = settings.state / 'namespaces-before'
    if path.exists():
        before = set(path.read_text().split())
        for name in metadata_namespaces(settings) - before:
            shell.output(settings, ('ip', 'netns', 'delete', name),
                         check=False)


def metadata_namespaces(settings) -> set[str]:
    """Names of the namespaces in which metadata is answered."""
    names = shell.output(settings, ('ip', 'netns', 'list'), check=False)
    return {line.split()[0] for line in names.splitlines()
            if line.startswith('ovnmeta-')}


def remember_namespaces(settings) -> None:
    """Note what was there before, so that ``down`` leaves it."""
    path = settings.state / 'namespaces-before'
    if not path.exists():
        path.write_text('\n'.join(sorted(metadata_namespaces(settings))))


def _socket(settings, name) -> str:
    return 'unix:%s/%s.sock' % (settings.ovs, name)


def _daemon(settings, name, *words) -> processes.Process:
    return processes.Process(name, (
        '/usr/sbin/' + name if name == 'ovs-vswitchd' else '/usr/bin/' + name,
        *words, '--unixctl=%s/%s.ctl' % (settings.ovs, name),
        *_TALK_TO_STDERR))


def _database(settings, name) -> processes.Process:
    return processes.Process('ovsdb-' + name, (
        '/usr/sbin/ovsdb-server', '--remote=p' + _socket(settings, name),
        '--unixctl=%s/ovsdb-%s.ctl' % (settings.ovs, name),
        *_TALK_TO_STDERR, _file(settings, name)))


def _file(settings, name) -> pathlib.Path:
    return settings.state / 'ovs' / (name + '.db')


def _ensure_database(settings, name) -> None:
    path = _file(settings, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = _OVS_SCHEMA if name == 'db' else _OVN_SCHEMA % name
        shell.run(settings, ('ovsdb-tool', 'create', path, schema), 'ovs')
        fresh = True
    else:
        fresh = False
    _start(settings, _database(settings, name),
           settings.ovs / (name + '.sock'))
    if name == 'db' and fresh:
        vsctl(settings, '--no-wait', 'init')


def _start(settings, daemon, sign=None) -> None:
    """Start a daemon and wait for its socket."""
    sign = sign or settings.ovs / (daemon.name + '.ctl')
    if not daemon.pid(settings):
        sign.unlink(missing_ok=True)
        daemon.start(settings)
    if not processes.wait_until(sign.exists, _PATIENCE_S, 0.05):
        daemon.check(settings)
        raise problem.Problem('%s does not come up' % daemon.name,
                              log=daemon.log(settings))


def _configure_chassis(settings) -> None:
    """Say who this chassis is; its name must be Nova's host."""
    ids = {
        'system-id': settings.host,
        'hostname': settings.host,
        'ovn-remote': _socket(settings, 'sb'),
        'ovn-encap-type': 'geneve',
        'ovn-encap-ip': settings_.LOOPBACK,
        'ovn-bridge': settings_.INTEGRATION_BRIDGE,
        'ovn-bridge-datapath-type': 'netdev',
        'ovn-bridge-mappings': 'public:' + settings_.PUBLIC_BRIDGE,
        'ovn-cms-options': 'enable-chassis-as-gw',
    }
    vsctl(settings, '--no-wait', 'set', 'Open_vSwitch', '.', *(
        'external_ids:%s="%s"' % pair for pair in ids.items()))


def _ensure_bridges(settings) -> None:
    """Make the bridges; the host itself is at the gateway's address."""
    for bridge in (settings_.INTEGRATION_BRIDGE, settings_.PUBLIC_BRIDGE):
        vsctl(settings, '--may-exist', 'add-br', bridge, '--', 'set',
              'Bridge', bridge, 'datapath_type=netdev')
    public = settings_.PUBLIC_BRIDGE
    prefix = settings_.PUBLIC_CIDR.split('/')[1]
    address = '%s/%s' % (settings_.PUBLIC_GATEWAY, prefix)
    shell.run(settings, ('ip', 'address', 'replace', address, 'dev',
                         public), 'ovs')
    shell.run(settings, ('ip', 'link', 'set', public, 'up'), 'ovs')
    # The userspace datapath passes frames on as they are, and a checksum
    # left to the hardware is a wrong one.
    shell.run(settings, ('ethtool', '-K', public, 'tx', 'off'), 'ovs')


def _connect_controller(settings) -> None:
    """Start ovn-controller until it is connected.

    It may end silently when the databases are empty and new.
    """
    daemon = controller(settings)

    def connected():
        daemon.start(settings)
        # It takes no name for its socket, as the other daemons do.
        return 'connected' == shell.output(settings, (
            'ovn-appctl', '--target=%s/ovn-controller.%s.ctl' % (
                settings.ovs, daemon.pid(settings)),
            'connection-status'), check=False).strip()
    if not processes.wait_until(connected, _PATIENCE_S, 0.3):
        raise problem.Problem('ovn-controller does not connect',
                              log=daemon.log(settings))
