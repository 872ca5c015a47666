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

import contextlib

from nova.compute import task_states
from oslo_log import log as logging
from oslo_utils import timeutils

from novadocker import archive
from novadocker import conf
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names

CONF = conf.CONF
LOG = logging.getLogger(__name__)


class SnapshotOps:
    """:param client: the engine's client
    :param host: HostOps
    :param containers: the inventory of this host's
    :param store: ImageStore
    """

    def __init__(self, client, host, containers, store):
        self._client = client
        self._host = host
        self._inventory = containers
        self._store = store

    def snapshot(self, context, instance, image_id: str,
                 update_task_state) -> None:
        """Upload the server's file system as the data of a Glance image.

        A running server is frozen while the engine commits it. The committed
        image is removed whatever happens; on error Nova removes the record
        in Glance.

        :raises: DiskLost if the server has no container
        """
        container = self._inventory.server(instance).disk
        watch = timeutils.StopWatch()
        with watch, self._committed(container) as committed:
            update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
            update_task_state(
                task_state=task_states.IMAGE_UPLOADING,
                expected_state=task_states.IMAGE_PENDING_UPLOAD)
            self._upload(context, instance, image_id, committed)
        LOG.info('Snapshot uploaded in %.1f s', watch.elapsed(),
                 instance=instance)

    def remove_leftovers(self) -> None:
        """Remove committed images that a killed process left behind."""
        for image in self._client.list_labelled_images(
                _labels(self._host.name)):
            LOG.warning('Removing %s, left by a snapshot that was '
                        'interrupted', image.id)
            self._client.remove_image(image.id)

    @contextlib.contextmanager
    def _committed(self, container: model.ContainerSummary):
        image = self._client.commit(
            container.id, _labels(self._host.name),
            pause=container.state == model.RUNNING)
        try:
            yield image
        finally:
            self._remove(image)

    def _remove(self, image: str) -> None:
        try:
            self._client.remove_image(image)
        except exception.ImageNotFound:
            LOG.debug('Committed image %s is gone already', image)

    def _upload(self, context, instance, image_id, committed) -> None:
        with contextlib.closing(self._client.save(committed)) as saved:
            self._store.upload(
                context, image_id, _record(instance), archive.sanitise(
                    saved, names.snapshot_tag(image_id),
                    archive.Limits(), archive.Rules(
                        reserved_labels=names.LABEL_PREFIX,
                        strip_reserved=True, allow_healthcheck=True)))


def _labels(host: str) -> dict[str, str]:
    return {names.LABEL_ROLE: names.ROLE_SNAPSHOT, names.LABEL_HOST: host}


def _record(instance) -> dict:
    """What Glance has to know for the snapshot to boot on any host."""
    return {
        'container_format': 'docker',
        'disk_format': 'raw',
        'properties': {
            'image_location': 'snapshot',
            'image_state': 'available',
            'owner_id': instance.project_id,
        },
    }
