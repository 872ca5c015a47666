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


"""What the checks look at: servers by API, by ssh, in engine and kernel."""

import os
import pathlib
import socket
import subprocess
import time

from quickstart import catalogue
from quickstart import engine
from quickstart import names
from quickstart import network
from quickstart import settings as settings_
from quickstart import showcase

PATIENCE_S = 120


class World:
    """The cloud under test, and the servers that the checks made."""

    def __init__(self, settings):
        self.settings = settings
        self.admin = catalogue.connect(settings)
        self.demo = catalogue.connect(settings, 'quickstart')
        self.servers = {}
        self.addresses = {}
        self.groups = []
        self.stacks = {}

    # -- servers

    def request(self, name, group=names.GROUP, **more):
        """Ask for a server; it is still building."""
        demo = self.demo
        self.servers[name] = demo.compute.create_server(
            name=name, key_name=names.KEYPAIR,
            image_id=demo.image.find_image(names.IMAGE).id,
            flavor_id=demo.compute.find_flavor(names.FLAVOR).id,
            networks=[{'uuid': demo.network.find_network(names.NETWORK).id}],
            security_groups=[{'name': group}], **more)

    def wait(self, name, status, timeout_s=PATIENCE_S):
        """The server, once the API shows the status and no task."""
        def there():
            server = self.server(name)
            if server.status == 'ERROR' and status != 'ERROR':
                raise AssertionError('%s is in ERROR: %s' % (
                    name, (server.fault or {}).get('message')))
            return server.status == status and not server.task_state
        wait_for(there, '%s %s' % (name, status), timeout_s)
        return self.server(name)

    def server(self, name):
        return self.demo.compute.get_server(self.servers[name].id)

    def fixed_ip(self, name) -> str:
        return next(address['addr']
                    for address in self.server(name).addresses[names.NETWORK]
                    if address['OS-EXT-IPS:type'] == 'fixed')

    def floating_ip(self, name) -> str:
        """The server's floating address, made at the first call."""
        if name not in self.addresses:
            port = next(self.demo.network.ports(
                device_id=self.servers[name].id))
            public = self.demo.network.find_network(names.PUBLIC)
            self.addresses[name] = self.demo.network.create_ip(
                floating_network_id=public.id, port_id=port.id)
        return self.addresses[name].floating_ip_address

    # -- inside

    def run(self, name, command, data=None, timeout_s=30) -> bytes:
        """What a command prints inside a server, by ssh.

        :raises: CalledProcessError, TimeoutExpired
        """
        line = showcase.ssh(self.settings, self.floating_ip(name))
        return subprocess.run(
            [*map(str, line), command], input=data, capture_output=True,
            check=True, timeout=timeout_s).stdout

    def reachable(self, name) -> bool:
        try:
            self.run(name, 'true', timeout_s=10)
        except subprocess.SubprocessError:
            return False
        return True

    def wait_reachable(self, name, timeout_s=60):
        wait_for(lambda: self.reachable(name), 'ssh to ' + name, timeout_s)

    def container(self, name):
        """The engine's view of a server."""
        return engine.get('/containers/nova-%s/json' % self.servers[name].id)

    # -- what may be left over

    def leftovers(self) -> dict[str, set]:
        """Everything of which a deleted server must leave nothing."""
        ports = network.vsctl(self.settings, 'list-ports',
                              settings_.INTEGRATION_BRIDGE).split()
        return {
            'containers': set(engine.containers(self.settings)),
            'interfaces': {name for _, name in socket.if_nameindex()},
            'namespaces': set(os.listdir('/var/run/netns')),
            'switch ports': set(ports),
            'Neutron ports': {port.id for port in self.admin.network.ports()},
            'allocations': set(self._allocations()),
            'instance directories': set(os.listdir(
                self.settings.state / 'nova' / 'instances')),
        }

    def _allocations(self):
        """Ids of the consumers that Placement knows."""
        placement = self.admin.placement
        for provider in placement.resource_providers():
            answer = placement.get('/resource_providers/%s/allocations' %
                                   provider.id)
            yield from answer.json()['allocations']


def wait_for(condition, what, timeout_s=PATIENCE_S, interval_s=0.5) -> None:
    """:raises: AssertionError naming what did not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError('no %s after %d s' % (what, timeout_s))
        time.sleep(interval_s)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('', 0))
        return probe.getsockname()[1]


def run_quickstart(settings, command, *words) -> None:
    """:raises: AssertionError with the end of what the command printed."""
    done = subprocess.run(
        [settings_.QUICKSTART / command, '--data-dir', settings.directory,
         *words], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr[-500:])


def processes_with(directory: pathlib.Path) -> list[str]:
    """Command lines of all other processes that mention a directory."""
    return [line for line in _command_lines() if str(directory) in line]


def _command_lines():
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        if int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / 'cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        yield b' '.join(words).decode(errors='replace')
