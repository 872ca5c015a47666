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


"""An Open vSwitch of a test's own, on the userspace datapath.

It needs no kernel module and no service manager, only root and /dev/net/tun.
"""

import os
import shutil
import socket
import subprocess
import uuid

import fixtures
import os_vif
from oslo_config import cfg
from vif_plug_ovs.ovsdb import impl_idl

from tests.functional import netns
from tests.functional import privilege
from tests.functional import waiting

_SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
_NEEDED = ('ovsdb-tool', 'ovsdb-server', 'ovs-vswitchd', 'ovs-vsctl')
_STOP_TIMEOUT_S = 20


def _demand_what_it_needs() -> None:
    missing = [tool for tool in _NEEDED if not shutil.which(tool)]
    if not os.path.exists('/dev/net/tun'):
        missing.append('/dev/net/tun')
    if os.geteuid() != 0:
        missing.append('root')
    if missing:
        raise RuntimeError(
            'Open vSwitch cannot run without %s; ./run_tests.sh installs '
            'what it needs' % ', '.join(missing))


class OpenVSwitch(fixtures.Fixture):
    """Database server, switch and one bridge, all gone afterwards.

    To be used in a network namespace of the test's own: a namespace has room
    for one switch, as each makes a device of the same fixed name.

    :param bridge: name of the bridge, a unique one by default
    """

    def __init__(self, bridge: str | None = None):
        super().__init__()
        self.bridge = bridge or 'nd-%s' % uuid.uuid4().hex[:8]

    def _setUp(self):
        _demand_what_it_needs()
        self._directory = self.useFixture(fixtures.TempDir()).path
        self.connection = 'unix:%s' % self._path('db.sock')
        subprocess.run(['ovsdb-tool', 'create', self._path('conf.db'),
                        _SCHEMA], check=True)
        self._start('ovsdb-server', '--remote=p' + self.connection,
                    self._path('conf.db'))
        waiting.until(lambda: os.path.exists(self._path('db.sock')),
                      'ovsdb-server listens')
        self.vsctl('--no-wait', 'init')
        self._start('ovs-vswitchd', self.connection)
        self.addCleanup(self.vsctl, 'del-br', self.bridge)
        self.vsctl('add-br', self.bridge, '--', 'set', 'bridge', self.bridge,
                   'datapath_type=netdev', 'fail_mode=standalone')
        waiting.until(
            lambda: self.bridge in (name for _index, name
                                    in socket.if_nameindex()),
            'ovs-vswitchd makes the bridge')

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl on this database and return what it prints."""
        return subprocess.run(
            ['ovs-vsctl', '--timeout=20', '--db=' + self.connection,
             *arguments],
            check=True, capture_output=True, text=True).stdout.strip()

    def ports(self) -> list[str]:
        return self.vsctl('list-ports', self.bridge).split()

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _start(self, program: str, *arguments: str) -> None:
        process = subprocess.Popen(
            [program, '--unixctl=' + self._path(program + '.ctl'),
             '--log-file=' + self._path(program + '.log'), *arguments],
            env={**os.environ, 'OVS_RUNDIR': self._directory,
                 'OVS_LOGDIR': self._directory},
            stderr=subprocess.DEVNULL)
        self.addCleanup(self._stop, process)

    def _stop(self, process: subprocess.Popen) -> None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class OsVif(fixtures.Fixture):
    """Let os-vif talk to another database than it has so far.

    It reads its options when its plug-ins are loaded, and a process has one
    connection, for ever.
    """

    def __init__(self, connection: str):
        super().__init__()
        self._connection = connection

    def _setUp(self):
        os_vif.initialize()
        cfg.CONF.set_override('ovsdb_connection', self._connection,
                              group='os_vif_ovs')
        self.addCleanup(os_vif.initialize, reset=True)
        self.addCleanup(cfg.CONF.clear_override, 'ovsdb_connection',
                        group='os_vif_ovs')
        self._disconnect()
        self.addCleanup(self._disconnect)
        os_vif.initialize(reset=True)

    @staticmethod
    def _disconnect():
        connection = impl_idl.NeutronOvsdbIdl._ovsdb_connection
        if connection is not None:
            connection.stop(_STOP_TIMEOUT_S)
            impl_idl.NeutronOvsdbIdl._ovsdb_connection = None


class PrivateHost(fixtures.Fixture):
    """A compute host's network: namespace, switch, privileged daemons.

    ``switch`` is the OpenVSwitch. Takes a second or two, so it is best shared
    by the tests of a class.
    """

    def _setUp(self):
        self.useFixture(privilege.Privilege())
        self.useFixture(netns.OwnNetwork())
        self.switch = self.useFixture(OpenVSwitch())
        self.useFixture(OsVif(self.switch.connection))
