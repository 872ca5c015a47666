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

"""Snapshots: a server's file system, streamed to Glance as an image.

The engine commits the container, which costs the difference to its image
only, and the committed image flows through the archive sanitiser to Glance
in blocks. The sanitiser gives it names of ours and takes away the labels by
which the driver knows its containers.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import functools
import typing

from nova.compute import task_states
from nova.compute import vm_states
from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from oslo_log import log as logging
from oslo_utils import timeutils

from novadocker import archive
from novadocker.virt.docker import disksize
from novadocker.virt.docker.engine import client as docker_client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import hostops
from novadocker.virt.docker import imageproperties
from novadocker.virt.docker import imagestore
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from novadocker.virt.docker import rollback

LOG = logging.getLogger(__name__)

# How Nova lists a failure among the events of the action.
_EVENT = 'driver_snapshot'

_SNAPSHOTTING = (
    task_states.IMAGE_SNAPSHOT, task_states.IMAGE_BACKUP,
    task_states.IMAGE_PENDING_UPLOAD, task_states.IMAGE_UPLOADING)


class SnapshotOps:
    """:param client: the engine's client
    :param host: HostOps
    :param containers: the inventory of this host's
    :param store: ImageStore
    """

    def __init__(self, client: docker_client.DockerClient,
                 host: hostops.HostOps, containers: inventory.Inventory,
                 store: imagestore.ImageStore):
        self._client = client
        self._host = host
        self._inventory = containers
        self._store = store

    def snapshot(self, context: nova_context.RequestContext,
                 instance: 'objects.Instance', image_id: str,
                 update_task_state: Callable[..., None]) -> None:
        """Upload the server's file system as the data of a Glance image.

        A running server is frozen while the engine commits it. The committed
        image is removed whatever happens; on error Nova removes the record
        in Glance.

        :raises: DiskLost if the server has no container; DiskTooLarge
        """
        watch = timeutils.StopWatch()
        with watch, self._failure_told(context, instance):
            container = self._inventory.server(instance).disk
            disksize.refuse_oversized(self._client, instance, container)
            with self._committed(instance, container) as committed:
                update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
                update_task_state(
                    task_state=task_states.IMAGE_UPLOADING,
                    expected_state=task_states.IMAGE_PENDING_UPLOAD)
                self._upload(context, instance, image_id, committed)
        LOG.info('Snapshot uploaded in %.1f s', watch.elapsed(),
                 instance=instance)

    def finish_interrupted(self) -> None:
        """Undo what a killed process left: frozen servers, images.

        What cannot be undone is litter, and no reason not to start.
        """
        ours = {names.LABEL_HOST: self._host.name}
        for finish in (self._thaw_interrupted,
                       functools.partial(self._remove_committed, ours)):
            try:
                finish()
            except exception.EngineError:
                LOG.warning('Snapshots that were interrupted may have left '
                            'something behind', exc_info=True)

    def _thaw_interrupted(self) -> None:
        for server in self._inventory.servers().values():
            found = server.workload
            if (found is not None and found.state == model.PAUSED and
                    _was_being_snapshotted(found)):
                LOG.warning('Thawing %s, which a snapshot that was '
                            'interrupted left frozen', found.name)
                self._thaw(found)

    @contextlib.contextmanager
    def _committed(self, instance: 'objects.Instance',
                   container: model.ContainerSummary) -> Iterator[str]:
        labels = {names.LABEL_HOST: self._host.name,
                  names.LABEL_UUID: instance.uuid}
        with rollback.always_undo(instance, 'remove committed image',
                                  self._remove_committed, labels):
            with self._frozen(instance, container):
                image = self._client.commit(
                    container.id, {names.LABEL_ROLE: names.ROLE_SNAPSHOT,
                                   **labels}, pause=False)
            yield image

    @contextlib.contextmanager
    def _frozen(self, instance: 'objects.Instance',
                container: model.ContainerSummary) -> Iterator[None]:
        """Keep a running server from writing.

        What it wrote is measured again: it might have made a sparse file
        since.
        """
        if container.state != model.RUNNING:
            yield
            return
        with rollback.always_undo(instance, 'thaw', self._thaw, container):
            self._pause(container)
            disksize.refuse_oversized(self._client, instance, container)
            yield

    def _pause(self, container: model.ContainerSummary) -> None:
        try:
            self._client.pause(container.id)
        except exception.Conflict:
            LOG.debug('Container %s does not run any more', container.id)

    def _thaw(self, container: model.ContainerSummary) -> None:
        current = self._client.find_container(container.id)
        if current is not None and current.state == model.PAUSED:
            self._client.unpause(container.id)

    def _remove_committed(self, labels: Mapping[str, str]) -> None:
        """Remove committed images with these labels, as far as it goes.

        Not by id: of an engine that answers too late none is known.
        """
        failed = {}
        for image in self._client.list_labelled_images(
                {names.LABEL_ROLE: names.ROLE_SNAPSHOT, **labels}):
            try:
                self._client.remove_image(image.id)
            except exception.ImageNotFound:
                LOG.debug('Committed image %s is gone already', image.id)
            except exception.EngineError as err:
                failed[image.id] = err.format_message()
        if failed:
            LOG.warning('Images of snapshots could not be removed; a restart '
                        'of nova-compute tries again: %s', failed)

    def _upload(self, context: nova_context.RequestContext,
                instance: 'objects.Instance', image_id: str,
                committed: str) -> None:
        record = _record(instance, imageproperties.for_snapshot(
            self._store, context, instance, image_id))
        with contextlib.closing(self._client.save(committed)) as saved:
            self._store.upload(
                context, image_id, record, archive.sanitise(
                    saved, names.snapshot_tag(image_id),
                    archive.Limits(), archive.Rules(
                        reserved_labels=names.LABEL_PREFIX,
                        strip_reserved=True, allow_healthcheck=True)))

    @contextlib.contextmanager
    def _failure_told(self, context: nova_context.RequestContext,
                      instance: 'objects.Instance') -> Iterator[None]:
        """Add a failure to the events of the user's action.

        Nova has ended its own event by now: it takes a snapshot in a thread
        of its own, removes the image of one that failed, and says no more.
        """
        try:
            yield
        except Exception as err:
            with rollback.always_undo(instance, 'tell why the snapshot '
                                      'failed', self._tell, context,
                                      instance, err):
                raise

    def _tell(self, context: nova_context.RequestContext,
              instance: 'objects.Instance', err: Exception) -> None:
        event = objects.InstanceActionEvent
        event.event_start(context, instance.uuid, _EVENT, want_result=False,
                          host=self._host.name)
        event.event_finish_with_failure(
            context, instance.uuid, _EVENT, exc_val=err,
            exc_tb=err.__traceback__, want_result=False)


def _was_being_snapshotted(row: model.ContainerSummary) -> bool:
    """Whether it was the driver, and not the user, who froze a server."""
    try:
        instance = objects.Instance.get_by_uuid(
            nova_context.get_admin_context(), row.labels[names.LABEL_UUID])
    except nova_exception.InstanceNotFound:
        return False
    return (instance.vm_state == vm_states.ACTIVE and
            instance.task_state in _SNAPSHOTTING)


def _record(instance: 'objects.Instance',
            properties: Mapping[str, str]) -> dict[str, typing.Any]:
    """What Glance has to know for the snapshot to boot on any host."""
    return {
        'container_format': 'docker',
        'disk_format': 'raw',
        'properties': {
            **properties,
            'image_location': 'snapshot',
            'image_state': 'available',
            'owner_id': instance.project_id,
        },
    }
