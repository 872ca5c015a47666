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

"""Sandboxes: the container of each server that holds its namespace.

A sandbox outlives the workload's crashes, stops and restarts, so the
network is complete before the user's process runs its first instruction.
The workload names its sandbox by container id: a dead sandbox is started
again rather than replaced.
"""

import io
import tarfile

from nova import objects
from oslo_log import log as logging

from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import policy
from novadocker.virt.docker.engine import turns
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from novadocker.virt.docker import pause
from novadocker.virt.docker import spec

CONF = conf.CONF
LOG = logging.getLogger(__name__)

_PROGRAM_PATH = '/pause'
# Frozen by hand it holds the namespace as well.
_WITH_NAMESPACE = (model.RUNNING, model.PAUSED)


class SandboxOps:
    """:param engine: its client"""

    def __init__(self, engine: client.DockerClient):
        self._client = engine
        self._image_turn = turns.Turn()

    def ensure_image(self) -> str:
        """Name of the sandbox image; made first if the engine lacks it.

        :raises: ImageNotFound if the operator's own image is missing,
            EngineError on a machine that the driver has no program for
        """
        with self._image_turn.taken():
            wanted = CONF.docker.sandbox_image or names.SANDBOX_IMAGE
            if not self._client.find_image(wanted):
                self._make_image(wanted)
            return wanted

    def create(self, instance: 'objects.Instance', host: str) -> str:
        """Create, without starting it, and return the container's id."""
        return self._client.create(
            spec.sandbox(instance, host, self.ensure_image()))

    def start(self, sandbox: str) -> model.Container:
        """Start; a namespace comes with it, and nothing in it yet."""
        policy.start(self._client, sandbox)
        return self._client.get_container(sandbox)

    def find_running(self, server: inventory.Server) -> (
            model.Container | None):
        """The server's sandbox, if its namespace is there."""
        found = server.sandbox
        if found is None or found.state not in _WITH_NAMESPACE:
            return None
        return self._client.get_container(found.id)

    def revive(self, instance: 'objects.Instance', host: str,
               server: inventory.Server) -> model.Container:
        """Start the sandbox, or make a new one; its namespace is empty."""
        found = server.sandbox
        if found is None:
            LOG.warning('The sandbox is gone; making a new one',
                        instance=instance)
            return self.start(self.create(instance, host))
        return self.start(found.id)

    def _make_image(self, wanted: str) -> None:
        if CONF.docker.sandbox_image:
            raise exception.ImageNotFound(reason=_(
                '[docker]sandbox_image is %s; load it into the engine or '
                'unset the option') % wanted)
        architecture = self._client.info().architecture
        if architecture not in pause.architectures():
            raise exception.EngineError(reason=_(
                'the driver cannot make a sandbox image for %s; load one '
                'into the engine and name it in [docker]sandbox_image') %
                architecture)
        self._client.import_image(
            _program_tar(architecture), wanted,
            changes=['ENTRYPOINT ["%s"]' % _PROGRAM_PATH])
        LOG.info('Made the sandbox image %s', wanted)


def _program_tar(architecture: str) -> bytes:
    program = pause.program(architecture)
    member = tarfile.TarInfo(_PROGRAM_PATH.lstrip('/'))
    member.size = len(program)
    member.mode = 0o755
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        tar.addfile(member, io.BytesIO(program))
    return buffer.getvalue()
