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


"""The Docker Engine: the one that answers, or one of our own."""

import http.client
import json
import os
import socket

from quickstart import bridge
from quickstart import problem
from quickstart import processes
from quickstart import services
from quickstart import settings as settings_
from quickstart import shell

_PATIENCE_S = 60


class _UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(settings_.ENGINE_SOCKET)


def answers(settings=None) -> bool:
    try:
        return bool(get('/version'))
    except (OSError, http.client.HTTPException):
        return False


def get(path):
    """GET of the Engine API, decoded."""
    connection = _UnixConnection('localhost')
    try:
        connection.request('GET', path)
        response = connection.getresponse()
        return json.loads(response.read())
    finally:
        connection.close()


def service(settings) -> services.Service:
    """An engine with data of its own; stopped by ``down``.

    Its containers have its environment's children among their parents, so
    it does not carry the mark by which the cloud's processes are ended.
    """
    return services.Service(processes.Process('dockerd', (
        '/usr/sbin/dockerd', '--host', 'unix://' + settings_.ENGINE_SOCKET,
        '--data-root', settings.state / 'docker',
        '--exec-root', settings.run / 'docker',
        '--pidfile', settings.run / 'docker.pid',
        '--live-restore'), marked=False), 'docker', ready=answers)


def ensure(settings) -> str:
    """Use the engine that runs here, start one if there is none."""
    own = service(settings)
    if answers():
        whose = 'ours' if own.process.pid(settings) else 'the one found here'
        return 'version %s, %s' % (get('/version')['Version'], whose)
    bridge.remember(settings)
    own.process.start(settings)

    def up():
        own.process.check(settings)
        return answers()
    if not processes.wait_until(up, _PATIENCE_S):
        raise problem.Problem('the engine does not answer',
                              log=own.process.log(settings))
    return 'version %s, started' % get('/version')['Version']


def label(settings) -> str:
    """What the containers of this cloud's nova-compute carry."""
    return 'org.openstack.nova.host=' + settings.host


def containers(settings) -> list[str]:
    """Ids of the containers that this cloud's nova-compute made."""
    return containers_with(settings, label(settings))


def containers_with(settings, *labels) -> list[str]:
    """Ids of the containers that carry any of the labels."""
    return [each for wanted in labels for each in shell.output(settings, (
        'docker', 'ps', '--all', '--quiet', '--no-trunc', '--filter',
        'label=' + wanted), check=False).split()]


def stop_containers(settings, ids) -> None:
    if ids:
        shell.run(settings, ('docker', 'stop', '--time', 3, *ids), 'down')


def remove_containers(settings, ids) -> int:
    """Remove containers with their anonymous volumes."""
    if ids:
        shell.run(settings, ('docker', 'rm', '--force', '--volumes', *ids),
                  'down')
    return len(ids)


def images(settings) -> set[str]:
    """The tags that the engine has now."""
    return set(shell.output(settings, (
        'docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'),
        check=False).split())


def remember_images(settings) -> None:
    """Note what was there before, so that ``down`` leaves it."""
    path = settings.state / 'images-before'
    if not path.exists():
        path.write_text('\n'.join(sorted(images(settings))))


def remove_images(settings, image_ids) -> None:
    """Remove what the engine keeps of this cloud's Glance images.

    The sandbox's image goes too, unless it was there before or a container
    of somebody else uses it.
    """
    path = settings.state / 'images-before'
    before = set(path.read_text().split()) if path.exists() else set()
    ours = tuple('novadocker/%s:' % each for each in image_ids)
    for tag in images(settings) - before:
        if tag.startswith((*ours, 'novadocker/sandbox:',
                           settings_.IMAGE_TAG)):
            shell.output(settings, ('docker', 'image', 'rm', tag),
                         check=False)


def stop(settings) -> bool:
    """Stop the engine if ``up`` started it; whether it had."""
    own = service(settings).process
    ours = own.pid(settings) is not None
    processes.stop_all(settings, [own], timeout_s=60)
    _unmount(settings)
    bridge.remove(settings)
    return ours


def _unmount(settings) -> None:
    """dockerd leaves its data directory mounted on itself."""
    with open('/proc/mounts') as mounts:
        points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if os.path.commonpath((point, settings.directory)) == str(
                settings.directory):
            shell.output(settings, ('umount', '--lazy', point), check=False)
