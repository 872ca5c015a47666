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

"""The directories that an image declares as VOLUME.

They are part of the server's root file system, as everything is: no volume
of the engine's is made, which snapshots would leave out and the flavor's
disk would not limit. The engine would have made those that are missing.
"""

import io
import posixpath
import tarfile

from oslo_serialization import jsonutils

from novadocker.virt.docker.engine import client as engine_client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names


def ensure(client: engine_client.DockerClient, container: str,
           image: model.Image) -> None:
    """Make what is missing, owned by root; what is there stays as it is.

    The engine follows links as the container would, so that none leads out
    of it.

    :param container: one that was created and not started yet
    :raises: EngineError for a path below a file
    """
    for path in jsonutils.loads(image.labels.get(names.LABEL_VOLUMES, '[]')):
        _ensure(client, container,
                posixpath.normpath('/' + path.lstrip('/')))


def _ensure(client: engine_client.DockerClient, container: str,
            path: str) -> None:
    missing: list[str] = []
    while path.strip('/') and not client.path_exists(container, path):
        path, name = posixpath.split(path)
        missing.insert(0, name)
    if missing:
        client.put_archive(container, path, _tar(missing))


def _tar(names_downwards: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for depth in range(len(names_downwards)):
            member = tarfile.TarInfo('/'.join(names_downwards[:depth + 1]))
            member.type = tarfile.DIRTYPE
            member.mode = 0o755
            tar.addfile(member)
    return buffer.getvalue()
