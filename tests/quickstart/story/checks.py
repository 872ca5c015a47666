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


"""What a user does with servers, in order."""

import base64
import hashlib
import json
import os
import subprocess

from quickstart import engine
from quickstart import names
from quickstart import settings as settings_
from story import world

_SERVERS = ('one', 'two', 'three', 'four', 'closed')
_MEGABYTES = 8
_USER_DATA = b'#!/bin/sh\necho user data ran > /root/proof\n'


def boot_five_at_once(here):
    """Five servers booted at once become ACTIVE."""
    group = here.demo.network.create_security_group(name='story-closed')
    here.groups.append(group)
    for name in _SERVERS:
        here.request(
            name, group='story-closed' if name == 'closed' else
            names.GROUP,
            user_data=base64.b64encode(_USER_DATA).decode())
    for name in _SERVERS:
        here.wait(name, 'ACTIVE')


def floating_ip(here):
    """A floating address answers ping and ssh."""
    address = here.floating_ip('one')
    here.wait_reachable('one')
    subprocess.run(('ping', '-c', '1', '-W', '2', address), check=True,
                   capture_output=True)


def fixed_ip(here):
    """Two servers on one network reach each other by fixed address."""
    assert _ssh_banner(here, 'one', 'two').startswith(b'SSH-2.0-dropbear')


def security_group(here):
    """A server in a group without ingress is unreachable."""
    try:
        banner = _ssh_banner(here, 'one', 'closed')
    except subprocess.CalledProcessError:
        banner = b''
    assert not banner, banner
    log = here.demo.compute.get_server_console_output(
        here.servers['closed'].id)['output']
    assert 'ready for ssh' in log, 'it does not even listen: %s' % log


def tcp_intact(here):
    """Several MB of TCP are intact both ways."""
    data = os.urandom(_MEGABYTES * 2 ** 20)
    said = here.run('one', 'tee /tmp/data | sha256sum', data, timeout_s=60)
    assert said.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert here.run('one', 'cat /tmp/data', timeout_s=60) == data


def metadata(here):
    """The metadata service answers inside the container."""
    said = json.loads(here.run(
        'one', 'wget -q -O - '
        'http://169.254.169.254/openstack/latest/meta_data.json'))
    assert said['uuid'] == here.servers['one'].id
    assert said['name'] == 'one'


def user_data(here):
    """User data that is a script was run."""
    assert here.run('one', 'cat /root/proof') == b'user data ran\n'


def everyday_tools(here):
    """A user pings without a raw socket, and types sudo."""
    said = here.run('one', 'sudo -n ping -c 1 -W 5 %s' %
                    here.fixed_ip('two')).decode()
    assert ' 0% packet loss' in said, said
    assert here.run('one', 'sudo -u nobody id -un') == b'nobody\n'


def room_for_twenty(here):
    """Quota and host have room for a newcomer's twentieth server."""
    quota = here.demo.compute.get('/limits').json()['limits']['absolute']
    assert quota['maxTotalInstances'] >= 20 <= quota['maxTotalCores'], quota
    assert quota['maxTotalRAMSize'] >= 20 * 128, quota
    placement = here.admin.placement
    for provider in placement.resource_providers():
        vcpu = placement.get('/resource_providers/%s/inventories' %
                             provider.id).json()['inventories']['VCPU']
        assert vcpu['total'] * vcpu['allocation_ratio'] >= 20, vcpu


def auto_allocated_network(here):
    """A user who has no network can be given one."""
    network = here.demo.network
    made = network.get_auto_allocated_topology()
    try:
        assert network.get_network(made.id).subnet_ids
    finally:
        network.delete_auto_allocated_topology()


def stop_while_it_waits(here):
    """A server that waits for its metadata ends when it is told to."""
    container = _docker('run', '--detach', '--network', 'none',
                        settings_.IMAGE_TAG)
    try:
        world.wait_for(lambda: _docker('logs', container), 'first line')
        _docker('stop', '--time', '60', container)
        ended = engine.get('/containers/%s/json' % container)['State']
        log = _docker('logs', container)
        assert ended['ExitCode'] == 0, ended
        assert 'stopping' in log and 'ssh' not in log, log
    finally:
        _docker('rm', '--force', container)


def hostname_and_limits(here):
    """Hostname and memory limit are the server's."""
    assert here.run('one', 'hostname') == b'one\n'
    limit = here.container('one')['HostConfig']['Memory']
    assert limit == here.server('one').flavor.ram * 2 ** 20, limit


def stop_and_start(here):
    """Stop and start; the network is back, the files are there."""
    here.demo.compute.stop_server(here.servers['one'].id)
    here.wait('one', 'SHUTOFF')
    assert not here.container('one')['State']['Running']
    here.demo.compute.start_server(here.servers['one'].id)
    here.wait('one', 'ACTIVE')
    here.wait_reachable('one')
    user_data(here)


def reboot_soft(here):
    """A soft reboot starts the process anew."""
    _reboot(here, 'SOFT')


def reboot_hard(here):
    """A hard reboot starts the process anew."""
    _reboot(here, 'HARD')


def _reboot(here, kind):
    before = here.container('one')['State']['StartedAt']
    here.demo.compute.reboot_server(here.servers['one'].id, kind)
    world.wait_for(lambda: here.container('one')['State']['StartedAt'] !=
                   before, 'new start')
    here.wait('one', 'ACTIVE')
    here.wait_reachable('one')
    user_data(here)


def pause(here):
    """Pause freezes a server, unpause lets it go on."""
    before = here.container('one')['State']['StartedAt']
    here.demo.compute.pause_server(here.servers['one'].id)
    here.wait('one', 'PAUSED')
    assert not here.reachable('one')
    here.demo.compute.unpause_server(here.servers['one'].id)
    here.wait('one', 'ACTIVE')
    here.wait_reachable('one')
    assert here.container('one')['State']['StartedAt'] == before


def rebuild(here):
    """Rebuild gives a fresh file system and keeps the address."""
    address = here.fixed_ip('one')
    here.run('one', 'touch /root/to-be-lost')
    image = here.demo.image.find_image(names.IMAGE)
    here.demo.compute.rebuild_server(here.servers['one'].id, image.id)
    world.wait_for(lambda: here.server('one').status == 'REBUILD' or
                   here.server('one').task_state, 'start of the rebuild', 20)
    here.wait('one', 'ACTIVE')
    here.wait_reachable('one')
    assert here.fixed_ip('one') == address
    assert b'to-be-lost' not in here.run('one', 'ls /root')


def console_log(here):
    """The console log is the output of the server's process."""
    log = here.demo.compute.get_server_console_output(
        here.servers['two'].id)['output']
    assert 'server two: %s/' % here.fixed_ip('two') in log, log


def delete_one(here):
    """A deleted server is gone from the API and from the engine."""
    server = here.servers.pop('four')
    here.demo.compute.delete_server(server.id)
    here.demo.compute.wait_for_delete(server, interval=0.5,
                                      wait=world.PATIENCE_S)
    found = [name for each in engine.get('/containers/json?all=1')
             for name in each['Names'] if server.id in name]
    assert not found, found


def _docker(*words) -> str:
    return subprocess.run(('docker', *words), check=True, text=True,
                          capture_output=True).stdout.strip()


def _ssh_banner(here, source, target) -> bytes:
    """What an ssh server says to another server that connects to it."""
    return here.run(source, 'timeout 5 nc -w 3 %s 22 < /dev/null | head -1' %
                    here.fixed_ip(target))


ALL = (boot_five_at_once, floating_ip, fixed_ip, security_group, tcp_intact,
       metadata, user_data, everyday_tools, room_for_twenty,
       auto_allocated_network, stop_while_it_waits, hostname_and_limits,
       stop_and_start, reboot_soft, reboot_hard, pause, rebuild, console_log,
       delete_one)
