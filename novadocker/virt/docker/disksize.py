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

"""How much a server wrote, asked before the engine writes it once more.

A commit writes out the holes of sparse files. Who may make a file may make
one of terabytes, whatever the flavor's disk, and would fill the disk that all
servers share.
"""

from nova.compute import task_states
from nova import exception as nova_exception
from nova import objects
from oslo_utils import units

from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker.engine import client as docker_client
from novadocker.virt.docker.engine import model

CONF = conf.CONF


class DiskTooLarge(nova_exception.NovaException):
    """No fault of the host; the user can mend it."""

    msg_fmt = _("The server's files take %(written_mib)d MiB beside its "
                "image, holes of sparse files included, but only "
                "%(limit_mib)d MiB fit its disk: shrink or remove files and "
                "try again")


def refuse_oversized(client: docker_client.DockerClient,
                     instance: 'objects.Instance',
                     container: model.ContainerSummary) -> None:
    """Let pass what a commit of the server may write.

    The answer holds for as long as the server does not run.

    :raises: DiskTooLarge
    """
    limit = _limit_bytes(client, instance, container)
    written = client.written_bytes(container.id)
    if written > limit:
        raise DiskTooLarge(written_mib=written // units.Mi,
                           limit_mib=limit // units.Mi)


def _limit_bytes(client: docker_client.DockerClient,
                 instance: 'objects.Instance',
                 container: model.ContainerSummary) -> int:
    """The flavor's disk; less the image for a server that has to come back.

    A snapshot may become a server of a larger flavor, but a shelved server
    keeps its own, on whose disk its files have to fit with its image.
    """
    limit: int = units.Gi * (instance.flavor.root_gb or
                             CONF.docker.snapshot_max_size)
    if instance.task_state == task_states.SHELVING and instance.flavor.root_gb:
        return limit - client.get_image(container.image_id).size_bytes
    return limit
