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
                "image, holes of sparse files included, but its disk has "
                "%(limit_mib)d MiB: shrink or remove files, or resize the "
                "server, and try again")


def refuse_oversized(client: docker_client.DockerClient,
                     instance: 'objects.Instance',
                     container: model.Container) -> None:
    """Let pass what a commit of the server may write.

    The answer holds for as long as the server does not run.

    :raises: DiskTooLarge
    """
    limit = instance.flavor.root_gb or CONF.docker.snapshot_max_size
    written = client.written_bytes(container.id)
    if written > limit * units.Gi:
        raise DiskTooLarge(written_mib=written // units.Mi,
                           limit_mib=limit * units.Ki)
