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

"""What all archives of the corpus are made of.

A case is an archive and the image that must come out of it. Every image
prints ``it runs`` when started, and only if each of its layers is in place:
the program comes from the first, the script from the second, which also has
to have removed a file of the first.
"""

from collections.abc import Callable
import dataclasses
import typing

from tests.data import archives
from tests.honest import tars

OUTPUT = b'it runs\n'
PASSWD = b'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n'
GROUP = b'root:x:0:\nnobody:x:65534:\n'
SCRIPT = b'#!/bin/sh\ntest -e /etc/motd || echo it runs\n'
COMMAND = ['/bin/sh', '/app/run']
PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

Parts = list[bytes]


@dataclasses.dataclass(frozen=True)
class Case:
    """One archive.

    :ivar tool: who writes such archives
    :ivar build: the archive and its image, around a static shell
    """

    name: str
    tool: str
    build: Callable[[bytes], tuple[bytes, archives.Image]]


CASES: dict[str, Case] = {}


def written_by(tool: str):
    """Register a function that makes an archive as ``tool`` writes it."""
    def register(build):
        name = build.__name__
        CASES[name] = Case(name, tool, build)
        return build
    return register


def base_members(write: tars.Writer, program: bytes,
                 prefix: str = '') -> Parts:
    """A root file system with a shell, its names behind a prefix."""
    return [
        write(prefix + 'bin/', kind=tars.DIRECTORY, mode=0o755),
        write(prefix + 'bin/busybox', program, mode=0o755),
        write(prefix + 'bin/sh', kind=tars.SYMLINK, link='busybox',
              mode=0o777),
        write(prefix + 'etc/', kind=tars.DIRECTORY, mode=0o755),
        write(prefix + 'etc/group', GROUP),
        write(prefix + 'etc/motd', b'remove me\n'),
        write(prefix + 'etc/passwd', PASSWD)]


def app_members(write: tars.Writer, prefix: str = '',
                script: bytes = SCRIPT) -> Parts:
    return [
        write(prefix + 'app/', kind=tars.DIRECTORY, mode=0o755),
        write(prefix + 'app/run', script, mode=0o755),
        write(prefix + 'etc/', kind=tars.DIRECTORY, mode=0o755),
        write(prefix + 'etc/.wh.motd')]


def image(program: bytes, write: tars.Writer = tars.go, prefix: str = '',
          **fields: typing.Any) -> archives.Image:
    """Two layers and a config; ``fields`` go into the config."""
    return of_layers(
        tars.archive(*base_members(write, program, prefix)),
        tars.archive(*app_members(write, prefix)), **fields)


def odd(program: bytes, *members: bytes, script: bytes = SCRIPT,
        **fields: typing.Any) -> archives.Image:
    """An image whose upper layer has further members."""
    return of_layers(
        tars.archive(*base_members(tars.go, program)),
        tars.archive(*app_members(tars.go, script=script), *members),
        **fields)


def of_layers(*layers: bytes, config: dict | None = None,
              **fields: typing.Any) -> archives.Image:
    return archives.Image(*layers, config={
        'Env': [PATH], 'Cmd': COMMAND, **(config or {})}, **fields)


def layout_file() -> bytes:
    return b'{"imageLayoutVersion":"1.0.0"}'


def blob_name(data: bytes) -> str:
    return 'blobs/sha256/' + archives.hexadecimal(data)


def described(media_type: str, data: bytes, **more: typing.Any) -> dict:
    return {'mediaType': media_type, 'digest': archives.digest(data),
            'size': len(data), **more}


DOCKER = 'application/vnd.docker.'
OCI = 'application/vnd.oci.image.'
INDEX = OCI + 'index.v1+json'
MANIFEST = OCI + 'manifest.v1+json'
CONFIG = OCI + 'config.v1+json'
LAYER = OCI + 'layer.v1.tar'
DOCKER_MANIFEST = DOCKER + 'distribution.manifest.v2+json'
DOCKER_CONFIG = DOCKER + 'container.image.v1+json'
DOCKER_LAYER = DOCKER + 'image.rootfs.diff.tar.gzip'
DOCKER_LIST = DOCKER + 'distribution.manifest.list.v2+json'


def manifest(config: bytes, layers: Parts, layer_type: str = LAYER + '+gzip',
             media_type: str = MANIFEST, config_type: str = CONFIG,
             **more: typing.Any) -> bytes:
    return archives.as_json({
        'schemaVersion': 2, 'mediaType': media_type,
        'config': described(config_type, config),
        'layers': [described(layer_type, one) for one in layers], **more})


def docker_manifest(config: bytes, layers: Parts) -> bytes:
    return manifest(config, layers, DOCKER_LAYER, DOCKER_MANIFEST,
                    DOCKER_CONFIG)


def index(*rows: dict, media_type: str = INDEX) -> bytes:
    return archives.as_json({'schemaVersion': 2, 'mediaType': media_type,
                             'manifests': list(rows)})


AMD64 = {'architecture': 'amd64', 'os': 'linux'}
ARM64 = {'architecture': 'arm64', 'os': 'linux', 'variant': 'v8'}
UNKNOWN = {'architecture': 'unknown', 'os': 'unknown'}
