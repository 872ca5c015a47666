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


"""The fake engine's images: layers as files, configs, tags."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import tarfile
import tempfile

from tests.fakes import process

_REPOSITORY = re.compile(r'[a-z0-9]+(?:[._/-]+[a-z0-9]+)*')
_BLOCK = 32 * 1024


class Refusal(Exception):
    """The engine's answer to what it will not do."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


class BrokenStream(Exception):
    """The client left before the end of its request."""


@dataclasses.dataclass
class Image:
    id: str
    raw: bytes
    layers: list[str]
    tags: list[str] = dataclasses.field(default_factory=list)
    parent: str = ''

    @property
    def config(self) -> dict:
        return json.loads(self.raw)

    @property
    def settings(self) -> dict:
        """What containers inherit: Cmd, Entrypoint, Env, Labels..."""
        return self.config.get('config') or {}


class ImageStore:
    """Images by id, and the layers they share.

    :param directory: where layers are kept, as the engine keeps them on
        disk, so that images of any size pass through in little memory
    """

    def __init__(self, directory: str):
        self.images: dict[str, Image] = {}
        self._directory = directory

    def find(self, reference: str) -> Image | None:
        """By tag, id, or the beginning of an id."""
        tag = _with_version(reference)
        digest = reference.removeprefix('sha256:')
        for image in self.images.values():
            if tag in image.tags:
                return image
        found = [image for image in self.images.values()
                 if re.fullmatch('[0-9a-f]+', digest) and
                 image.id.startswith('sha256:' + digest)]
        return found[0] if len(found) == 1 else None

    def get(self, reference: str) -> Image:
        image = self.find(reference)
        if image is None:
            raise Refusal(404, 'No such image: %s' % _with_version(reference))
        return image

    def names(self, image: Image) -> set[str]:
        """Of all files in all its layers, without a leading slash."""
        return set().union(*map(self._names, image.layers))

    def has_layer(self, digest: str) -> bool:
        return os.path.exists(self._path(digest))

    # Making images

    def load(self, body) -> Iterator[str]:
        """Yield the names of what an archive brought.

        Like the engine, unpack all of it before looking at any.

        :raises: Refusal, which the engine reports inside its answer
        """
        with tempfile.TemporaryDirectory(dir=self._directory) as unpacked:
            members = _unpack(body, unpacked)
            for entry in _json(_member(members, 'manifest.json')):
                image = self._loaded(members, entry)
                for tag in entry.get('RepoTags') or ():
                    self.tag(image, _checked_tag(tag))
                    yield 'image: %s' % tag
                if not entry.get('RepoTags'):
                    yield 'image ID: %s' % image.id

    def _loaded(self, members: Mapping[str, str], entry: Mapping) -> Image:
        with open(_member(members, entry['Config']), 'rb') as config_file:
            raw = config_file.read()
        rootfs = _json(_member(members, entry['Config'])).get('rootfs')
        if not rootfs:
            raise Refusal(500, 'invalid image JSON, no RootFS key')
        if len(rootfs['diff_ids']) != len(entry['Layers']):
            raise Refusal(500, 'invalid manifest, layers length mismatch')
        for index, name in enumerate(entry['Layers']):
            expected = rootfs['diff_ids'][index]
            # Layers that are known by name are not looked at again.
            if self.has_layer(expected):
                continue
            with _uncompressed(_member(members, name)) as layer:
                found = self._add_layer(layer, keep=expected)
            if found != expected:
                raise Refusal(500, 'invalid diffID for layer %d: expected '
                              '"%s", got "%s"' % (index, expected, found))
        return self._add(raw, rootfs['diff_ids'])

    def build(self, layer: bytes, settings: Mapping,
              base: Image | None = None) -> Image:
        """Make an image of one more layer."""
        layers = list(base.layers) if base else []
        layers.append(self._add_layer(io.BytesIO(layer)))
        raw = json.dumps({
            'architecture': base.config['architecture'] if base else 'amd64',
            'os': 'linux', 'config': settings, 'created': now(),
            'rootfs': {'type': 'layers', 'diff_ids': layers}}).encode()
        image = self._add(raw, layers)
        image.parent = base.id if base else ''
        return image

    def import_tar(self, body, repository: str, tag: str,
                   changes: Iterable[str]) -> Image:
        settings = _settings(changes)
        name = _checked_tag('%s:%s' % (repository, tag))
        data = body.read()
        check_tar(data)
        image = self.build(data, settings)
        self.tag(image, name)
        return image

    def _add(self, raw: bytes, layers: list[str]) -> Image:
        identity = 'sha256:' + hashlib.sha256(raw).hexdigest()
        return self.images.setdefault(
            identity, Image(identity, raw, list(layers)))

    def _add_layer(self, stream, keep: str | None = None) -> str:
        """Store a layer; with ``keep``, only one of that digest."""
        checksum = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self._directory,
                                         delete=False) as layer:
            while block := stream.read(_BLOCK):
                checksum.update(block)
                layer.write(block)
        digest = 'sha256:' + checksum.hexdigest()
        if keep in (None, digest):
            os.replace(layer.name, self._path(digest))
        else:
            os.unlink(layer.name)
        return digest

    def tag(self, image: Image, tag: str) -> None:
        """Give a tag, taking it from the image that had it."""
        for other in self.images.values():
            if tag in other.tags:
                other.tags.remove(tag)
        image.tags.append(tag)
        image.tags.sort()

    # Giving images away

    def save(self, reference: str) -> tarfile.TarFile:
        """An archive on disk of one image, named only if asked by name."""
        image = self.find(reference)
        if image is None:
            raise Refusal(404, 'No such image: %s' % reference)
        tag = _with_version(reference)
        tags = [tag] if tag in image.tags else None
        archive = tempfile.TemporaryFile(dir=self._directory)
        with tarfile.open(fileobj=archive, mode='w') as tar:
            names = [self._save_layer(tar, layer) for layer in image.layers]
            config = '%s.json' % image.id[7:]
            _add_member(tar, config, image.raw)
            _add_member(tar, 'manifest.json', json.dumps([
                {'Config': config, 'RepoTags': tags, 'Layers': names},
            ]).encode())
        archive.seek(0)
        return archive

    def _save_layer(self, tar: tarfile.TarFile, layer: str) -> str:
        directory = tarfile.TarInfo(layer[7:])
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        name = '%s/layer.tar' % layer[7:]
        tar.add(self._path(layer), name)
        return name

    # Removing images

    def remove(self, reference: str, users: Mapping[str, str]) -> None:
        """Remove a tag, and the image with its last one.

        :param users: ids of containers by the id of their image
        """
        image = self.get(reference)
        tag = _with_version(reference)
        by_tag = tag in image.tags
        if not by_tag and len(image.tags) > 1:
            raise Refusal(409, 'conflict: unable to delete %s (must be '
                          'forced) - image is referenced in multiple '
                          'repositories' % image.id[7:19])
        if by_tag and len(image.tags) > 1:
            image.tags.remove(tag)
            return
        if image.id in users:
            raise Refusal(409, _in_use(image, tag if by_tag else None,
                                       users[image.id]))
        if not by_tag and self._children(image):
            raise Refusal(409, 'conflict: unable to delete %s (cannot be '
                          'forced) - image has dependent child images'
                          % image.id[7:19])
        image.tags.clear()
        self._delete(image, users)

    def _delete(self, image: Image, users: Mapping[str, str]) -> None:
        """Delete an image without a name, then parents left without use."""
        if image.tags or image.id in users or self._children(image):
            return
        del self.images[image.id]
        kept = {layer for other in self.images.values()
                for layer in other.layers}
        for layer in set(image.layers) - kept:
            os.unlink(self._path(layer))
        if image.parent in self.images:
            self._delete(self.images[image.parent], users)

    def _children(self, image: Image) -> list[Image]:
        return [other for other in self.images.values()
                if other.parent == image.id]

    # Lists

    def matching(self, pattern: str) -> Iterator[tuple[Image, list[str]]]:
        """Images with their tags that match a reference filter."""
        # Without a version the pattern means all; a star ends at a slash.
        expression = re.compile('[^/]*'.join(
            re.escape(part) for part in pattern.split('*')))
        for image in self.images.values():
            tags = [tag for tag in image.tags
                    if expression.fullmatch(tag) or
                    expression.fullmatch(tag.rpartition(':')[0])]
            if tags:
                yield image, tags

    def size(self, image: Image) -> int:
        total = 0
        for layer in image.layers:
            with tarfile.open(self._path(layer)) as tar:
                total += sum(member.size for member in tar)
        return total

    def _names(self, layer: str) -> set[str]:
        with tarfile.open(self._path(layer)) as tar:
            return {name.removeprefix('./') for name in tar.getnames()}

    def _path(self, digest: str) -> str:
        return os.path.join(self._directory, digest.replace(':', '-'))


def now() -> str:
    """The present as the engine writes it."""
    moment = datetime.datetime.now(datetime.timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.%f000Z')


def check_tar(data: bytes) -> list[str]:
    """Names of the members.

    :raises: Refusal if it is no tar archive
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode='r:') as tar:
            return tar.getnames()
    except tarfile.TarError:
        raise Refusal(500, 'Error processing tar file(exit status 1): '
                      'archive/tar: invalid tar header') from None


def directories(data: bytes) -> list[str]:
    """Names of the members that are directories."""
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:') as tar:
        return [member.name for member in tar if member.isdir()]


def file_bytes(data: bytes) -> int:
    """Sizes of the files in a tar archive, each counted once."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sum(member.size for member in tar if member.isreg())


def joined(archives: Iterable[tuple[str, bytes]]) -> bytes:
    """One layer of what was put into several directories."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode='w') as target:
        for directory, data in archives:
            with tarfile.open(fileobj=io.BytesIO(data)) as source:
                for member in source:
                    member.name = os.path.join(directory,
                                               member.name).lstrip('/')
                    target.addfile(member, source.extractfile(member)
                                   if member.isfile() else None)
    return layer.getvalue()


def _unpack(body, directory: str) -> dict[str, str]:
    """Paths by name of an archive's members, written as they arrive."""
    members = {}
    try:
        with tarfile.open(fileobj=body, mode='r|') as tar:
            for member in tar:
                if member.isfile():
                    path = os.path.join(directory, str(len(members)))
                    _copy(tar.extractfile(member), path)
                    members[member.name] = path
    except tarfile.TarError as err:
        _drain(body)
        # No byte at all is an empty archive to the engine.
        if 'empty file' not in str(err):
            raise Refusal(500, 'Error processing tar file(exit status 1): '
                          '%s' % err) from err
    _drain(body)
    return members


def _drain(body) -> None:
    while body.read(_BLOCK):
        pass


def _copy(source, path: str) -> None:
    with open(path, 'wb') as target:
        while block := source.read(_BLOCK):
            target.write(block)


def _member(members: Mapping[str, str], name: str) -> str:
    if name not in members:
        # What 20.10 looks for where it finds no manifest.
        name = 'repositories' if name == 'manifest.json' else name
        raise Refusal(500, 'open /var/lib/docker/tmp/docker-import-0/%s: '
                      'no such file or directory' % name)
    return members[name]


def _json(path: str):
    try:
        with open(path, 'rb') as document:
            return json.load(document)
    except ValueError:
        raise Refusal(500, 'unexpected end of JSON input') from None


def _uncompressed(path: str):
    with open(path, 'rb') as layer:
        compressed = layer.read(2) == b'\x1f\x8b'
    return gzip.open(path) if compressed else open(path, 'rb')


def _add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _with_version(reference: str) -> str:
    if reference.startswith('sha256:') or ':' in reference:
        return reference
    return reference + ':latest'


def _checked_tag(tag: str) -> str:
    repository, colon, _version = tag.rpartition(':')
    if not colon:
        raise Refusal(500, 'invalid tag "%s"' % tag)
    if not _REPOSITORY.fullmatch(repository):
        raise Refusal(400, 'invalid reference format: repository name must '
                      'be lowercase')
    return tag


def _in_use(image: Image, tag: str | None, container: str) -> str:
    if tag:
        return ('conflict: unable to remove repository reference "%s" (must '
                'force) - container %s is using its referenced image %s'
                % (tag, container[:12], image.id[7:19]))
    return ('conflict: unable to delete %s (must be forced) - image is being '
            'used by stopped container %s'
            % (image.id[7:19], container[:12]))


def _settings(changes: Iterable[str]) -> dict:
    """What lines of a Dockerfile put into an image's config."""
    settings: dict = {}
    for change in changes:
        instruction, _space, rest = change.partition(' ')
        name = {'LABEL': 'Labels', 'CMD': 'Cmd', 'ENTRYPOINT': 'Entrypoint',
                'ENV': 'Env'}.get(instruction)
        if name == 'Labels':
            settings.setdefault(name, {}).update(
                pair.split('=', 1) for pair in shlex.split(rest))
        elif name == 'Env':
            settings.setdefault(name, []).extend(shlex.split(rest))
        elif name:
            settings[name] = json.loads(rest)
        elif instruction in ('STOPSIGNAL', 'WORKDIR', 'USER'):
            raise process.Unsupported(change)
        else:
            raise Refusal(400, '%s is not a valid change command'
                          % instruction.lower())
    return settings
