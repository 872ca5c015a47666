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

"""What a server is told about itself: config drive and injected files.

The config drive is a directory of the host, mounted read-only, so that it
stays out of snapshots; cloud-init finds it at ``/config-drive``. Injected
files become part of the server's file system.
"""

from collections.abc import Sequence
import io
import os
import shutil
import tarfile

from nova.api.metadata import base as instance_metadata
from nova.network import model as network_model
from nova import objects
from nova.virt import configdrive

from novadocker import conf
from novadocker.virt.docker.engine import client as engine_client

CONF = conf.CONF

# Pairs of path and content, as Nova decoded them.
Files = Sequence[tuple[str, bytes]]

CONFIG_DRIVE_PATH = '/config-drive'


class MetadataOps:
    """:param client: the engine's client"""

    def __init__(self, client: engine_client.DockerClient):
        self._client = client

    def prepare(self, instance: 'objects.Instance') -> dict[str, str]:
        """Make room for the config drive, if the server has one.

        :returns: directories to mount, host's path to container's
        """
        if not configdrive.required_by(instance):
            return {}
        directory = _config_drive(instance)
        # Only root and this service pass the outer directory; inside the
        # container every user reads the inner one.
        os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        return {directory: CONFIG_DRIVE_PATH}

    def write(self, instance: 'objects.Instance', container: str,
              network_info: network_model.NetworkInfo, injected_files: Files,
              admin_password: str | None) -> None:
        """Fill the config drive and inject the files, before the start."""
        if injected_files:
            self._client.put_archive(container, '/', _tar(injected_files))
        if configdrive.required_by(instance):
            _write_config_drive(instance, network_info, injected_files,
                                admin_password)
            configdrive.update_instance(instance)

    def remove(self, instance: 'objects.Instance') -> None:
        """Idempotent."""
        directory = _instance_directory(instance)
        if os.path.isdir(directory):
            shutil.rmtree(directory)


def _instance_directory(instance: 'objects.Instance') -> str:
    return str(os.path.join(CONF.instances_path, instance.uuid))


def _config_drive(instance: 'objects.Instance') -> str:
    return os.path.join(_instance_directory(instance), 'config-drive')


def _write_config_drive(instance: 'objects.Instance',
                        network_info: network_model.NetworkInfo,
                        injected_files: Files,
                        admin_password: str | None) -> None:
    secrets = {'admin_pass': admin_password} if admin_password else {}
    metadata = instance_metadata.InstanceMetadata(
        instance, content=injected_files, extra_md=secrets,
        network_info=network_info)
    for path, content in metadata.metadata_for_config_drive():
        target = os.path.join(_config_drive(instance), path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        with open(target, 'wb') as element:
            element.write(content)


def _tar(files: Files) -> bytes:
    """Owned by root and private to it, as Nova's other drivers make them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for path, content in files:
            member = tarfile.TarInfo(path.lstrip('/'))
            member.size = len(content)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
