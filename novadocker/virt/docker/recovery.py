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

"""What is done about what was lost, or left half done.

A process may be killed between any two calls, and an answer may be lost
after the engine has done its work. So nothing is remembered here: labels and
states tell how far things went, and the next verb resumes or undoes.
"""

from collections.abc import Iterable
import time

from nova import exception as nova_exception
from nova import objects
from oslo_log import log as logging

from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker import disksize
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from novadocker.virt.docker import rollback

CONF = conf.CONF
LOG = logging.getLogger(__name__)

_REMOVAL_TIMEOUT_S = 30.0
_REMOVAL_POLL_S = 0.1


class Recovery:
    """:param engine: its client
    :param containers: those of this host
    """

    def __init__(self, engine: client.DockerClient,
                 containers: inventory.Inventory):
        self._client = engine
        self._inventory = containers
        # Ids of containers that the last sweep found without a server.
        self._suspects: set[str] = set()

    # A sandbox that is lost

    def bound(self, instance: 'objects.Instance',
              workload: model.ContainerSummary,
              sandbox: model.Container) -> model.ContainerSummary:
        """The workload as a member of this sandbox, losing nothing.

        The engine binds a workload to a sandbox for life. One whose sandbox
        was removed by hand is replaced by a twin with the same file system.
        The twin says what it replaces and is made whole in one call: once it
        is there, it is the server's disk, and what it replaces is litter.

        :raises: DiskTooLarge, before anything is changed
        """
        if workload.network_owner == sandbox.id:
            return workload
        disksize.refuse_oversized(self._client, instance, workload)
        LOG.warning('The sandbox that the server was bound to is gone; '
                    'moving its file system to a new container',
                    instance=instance)
        # A process that goes on writing would lose what it writes.
        if workload.state == model.PAUSED:
            self._client.unpause(workload.id)
        self._client.stop(workload.id, CONF.shutdown_timeout)
        self._replace(instance, workload, sandbox)
        return self.settled(instance).disk

    def _replace(self, instance: 'objects.Instance',
                 workload: model.ContainerSummary,
                 sandbox: model.Container) -> None:
        # What an attempt left that was interrupted is older than the disk.
        self._remove_twin(instance, workload)
        replaces = {names.LABEL_REPLACES: workload.id}
        with rollback.Rollback(instance) as undo:
            undo.push('remove the twin', self._remove_twin, instance,
                      workload)
            image = self._client.commit(workload.id, replaces)
            self._client.recreate(
                workload.id, names.replacement(instance.uuid, workload.id),
                image, sandbox.id, replaces)

    def _remove_twin(self, instance: 'objects.Instance',
                     workload: model.ContainerSummary) -> None:
        """Idempotent; the workload itself is not touched."""
        replaces = {names.LABEL_REPLACES: workload.id}
        for container in self._inventory.server(instance).containers:
            if replaces.items() <= container.labels.items():
                self.remove(container)
        self._remove_images({**self._inventory.labels(instance), **replaces})

    def settled(self, instance: 'objects.Instance') -> inventory.Server:
        """The server, after a replacement that was left half done is ended.

        Nothing depends on the ending: where it fails, the next time will do.
        """
        server = self._inventory.server(instance)
        for container in server.surplus:
            rollback.attempt(instance, 'remove %s' % container.name,
                             self.remove, container)
        workload = server.workload
        name = names.workload(instance.uuid)
        if workload is not None and workload.name != name:
            rollback.attempt(instance, 'rename %s' % workload.name,
                             self._client.rename, workload.id, name)
        return server

    # Removing

    def remove(self, container: model.ContainerSummary) -> None:
        """Remove; that it is gone, or goes already, is success."""
        try:
            self._client.remove(container.id)
        except exception.NotFound:
            return
        except exception.Conflict:
            self._wait_until_removed(container.id)

    def _wait_until_removed(self, container: str) -> None:
        """See a removal through that somebody else began."""
        deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
        while self._client.find_container(container):
            if time.monotonic() > deadline:
                raise exception.Conflict(reason=_(
                    'container %s is not removed in time') % container)
            time.sleep(_REMOVAL_POLL_S)

    def remove_disk_images(self, instance: 'objects.Instance') -> None:
        """Remove what only twins of the server were made of; idempotent."""
        self._remove_images({**self._inventory.labels(instance),
                             names.LABEL_ROLE: names.ROLE_WORKLOAD})

    def _remove_images(self, labels: dict[str, str]) -> None:
        for image in self._client.list_labelled_images(labels):
            try:
                self._client.remove_image(image.id)
            except exception.ImageNotFound:
                LOG.debug('Image %s went with the one above it', image.id)
            except exception.Conflict:
                LOG.debug('Image %s goes with what was made of it',
                          image.id)

    # Containers that came too late

    def make_room(self, instance: 'objects.Instance') -> None:
        """Remove what a failed build of this server left.

        A container that the engine made after its answer was overdue was
        not there yet when the build was undone.

        :raises: InstanceExists if there is more than that
        """
        server = self._inventory.server(instance)
        if server.workload is not None and not server.unborn:
            raise nova_exception.InstanceExists(name=instance.name)
        for container in server.containers:
            LOG.warning('Removing %s, left by a build that failed',
                        container.name, instance=instance)
            self.remove(container)

    def sweep(self, instances: 'Iterable[objects.Instance]') -> None:
        """Remove such containers of servers that this host has not.

        Only what never ran, so that nothing can be in it, and what the last
        sweep found already: a server that is being built now may be younger
        than the list of servers.

        :param instances: all that Nova has on this host
        """
        known = {instance.uuid for instance in instances}
        strays = {container.id: container
                  for uuid, server in self._inventory.servers().items()
                  if uuid not in known and server.unborn
                  for container in server.containers}
        with rollback.each_step(None) as step:
            for stray in self._suspects & strays.keys():
                LOG.warning('Removing %s, which belongs to no server here',
                            strays[stray].name)
                step('remove %s' % strays[stray].name, self.remove,
                     strays[stray])
        self._suspects = set(strays)
