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


"""Tar archives: file systems, and images as "docker save" writes them."""

from collections.abc import Iterable
from collections.abc import Mapping
import hashlib
import io
import json
import tarfile

APPLETS = ('cat', 'echo', 'false', 'ls', 'seq', 'sh', 'sleep', 'true')

# Stands for busybox where nothing will run it.
PLACEHOLDER = b'\x7fELF'


def tar(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    """Pack regular files by name, then symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return buffer.getvalue()


def directories(*names: str, uid: int = 0) -> bytes:
    """Pack directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            member.mode = 0o755
            member.uid = uid
            archive.addfile(member)
    return buffer.getvalue()


def busybox(binary: bytes = PLACEHOLDER) -> bytes:
    """A file system with a shell and a few commands."""
    return tar({'bin/busybox': binary},
               {'bin/%s' % applet: 'busybox' for applet in APPLETS})


def config(layers: Iterable[bytes], architecture: str = 'amd64',
           **settings) -> bytes:
    """An image's config; ``settings`` are Cmd, Entrypoint, Labels, Env..."""
    return config_of(map(digest, layers), architecture, **settings)


def config_of(diff_ids: Iterable[str], architecture: str = 'amd64',
              **settings) -> bytes:
    """A config of layers that are known by their digests only."""
    return json.dumps({
        'architecture': architecture, 'os': 'linux', 'config': settings,
        'rootfs': {'type': 'layers', 'diff_ids': list(diff_ids)},
    }, sort_keys=True).encode()


def manifest(config: str, layers: Iterable[str],
             tags: Iterable[str] | None = None) -> bytes:
    """What names the config and the layers of an archive."""
    return json.dumps([{'Config': config, 'Layers': list(layers),
                        'RepoTags': list(tags) if tags else None}]).encode()


def save(config: bytes, layers: Iterable[bytes],
         tags: Iterable[str] | None = None) -> bytes:
    """An archive of one image, its manifest last, as the engine writes it."""
    members = {'%s.json' % digest(config)[7:]: config}
    names = []
    for layer in layers:
        names.append('%s/layer.tar' % digest(layer)[7:])
        members[names[-1]] = layer
    members['manifest.json'] = manifest(next(iter(members)), names, tags)
    return tar(members)


def image(*tags: str, layer: bytes | None = None, **settings) -> bytes:
    """An archive of an image that runs a shell, unless told otherwise."""
    layers = [busybox() if layer is None else layer]
    return save(config(layers, **{'Cmd': ['sh'], **settings}), layers, tags)


def digest(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()
