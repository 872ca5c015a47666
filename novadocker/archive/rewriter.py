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


"""An image archive from anyone, turned into one that is safe to load.

``sanitise`` reads docker-archives and OCI layouts as container tools write
them and writes a docker-archive of its own: layers under names of its own,
a config and a manifest written anew, one tag. It works on the stream, in
bounded memory and without files.

The engine acts on an archive only when it is complete, and reads its
manifest last. So layers go out as they come in, while they are checked; the
manifest follows when all of them have turned out to be what it names.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import hashlib
import itertools
import re

from novadocker.archive import compression
from novadocker.archive import digests
from novadocker.archive import layers
from novadocker.archive import manifests
from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

_GIB = 1024 ** 3
_MIB = 1024 ** 2

_DOCKER_MANIFEST = 'manifest.json'
_OCI_INDEX = 'index.json'
_MANIFESTS = (_DOCKER_MANIFEST, _OCI_INDEX)
# JSON without one of these is of no use here, such as a bill of materials.
_USEFUL_KEYS = (b'"rootfs"', b'"layers"', b'"manifests"')
_MOST_DOCUMENT_BYTES = 8 * _MIB
_LONGEST_NAME = 1024
# What an archive holds besides its layers.
_OVERHEAD = 64 * _MIB
_MOST_LINKS_FOLLOWED = 16
_HEX_NAME = re.compile(r'(?:.*/)?(?:sha256:)?([0-9a-f]{64})(?:\.json)?')


@dataclasses.dataclass(frozen=True)
class Limits:
    """What an archive may use up.

    :ivar max_archive_bytes: bytes of the archive as it arrives, as Glance
        declared them; None when it did not
    :ivar max_unpacked_bytes: bytes of all layers without compression, which
        is what they take of the engine's disk
    :ivar max_members: files in all layers
    :ivar max_entries: members of the archive itself
    :ivar max_config_bytes: bytes of the config, and of each manifest
    :ivar max_layers: layers of the image; the engine cannot stack more
    :ivar strip_labels: drop labels that only Nova may set instead of
        refusing them, for an image that the driver itself committed
    """

    max_archive_bytes: int | None = None
    max_unpacked_bytes: int = 64 * _GIB
    max_members: int = 1_000_000
    max_entries: int = 4096
    max_config_bytes: int = 4 * _MIB
    max_layers: int = 125
    strip_labels: bool = False


@dataclasses.dataclass
class Result:
    """What the archive held; complete when ``sanitise`` is exhausted.

    :ivar image_id: digest of the config as written, which is the id that
        the engine gives the image
    :ivar unpacked_bytes: bytes of the image's layers, each counted once
    :ivar layers: diff ids from the lowest layer up
    """

    image_id: str = ''
    architecture: str = ''
    os: str = ''
    unpacked_bytes: int = 0
    layers: tuple[str, ...] = ()
    history: tuple[dict, ...] = ()


def sanitise(chunks: Iterable[bytes], tag: str, limits: Limits,
             result: Result,
             architecture: str | None = None) -> Iterator[bytes]:
    """Read an untrusted archive and yield one of our own.

    Errors of ``chunks`` itself pass unchanged. ``chunks`` is read to its
    end before the manifest is yielded, so that a checksum taken on the way
    in can still stop the load by raising there.

    :param tag: the one name that the image will have
    :param architecture: what the host runs, in Go's or uname's spelling;
        None takes any
    :raises: ArchiveError when the archive must not be loaded
    """
    return tar.blocks(
        _rewritten(chunks, tag, limits, result, architecture))


def _rewritten(chunks, tag, limits, result, architecture):
    arriving = _limited(chunks, limits.max_archive_bytes, _(
        'the archive is larger than the %d bytes that the image service '
        'declared'))
    unpacked = _limited(
        compression.expanded(arriving), limits.max_unpacked_bytes + _OVERHEAD,
        _('the archive unpacks to more than %d bytes, the disk of the flavor '
          'or the limit of this cloud'))
    contents = _Contents(limits)
    source = tar.Source(unpacked)
    for header in tar.members(source, limits.max_entries):
        yield from contents.copy_member(source, header)
    image = contents.image(architecture)
    yield from _file('config.json', image.config.text)
    yield from _file(_DOCKER_MANIFEST, manifests.docker_manifest(
        'config.json', tag, [layer.written_as for layer in image.layers]))
    yield tar.ZERO_BLOCK * 2
    image.describe(result)


def _limited(chunks: Iterable[bytes], limit: int | None,
             reason: str) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if limit is not None and total > limit:
            raise words.refusal(reason % limit)
        yield chunk


def _file(name: str, content: bytes) -> Iterator[bytes]:
    yield tar.file_header(name, len(content))
    yield content
    yield tar.padding(len(content))


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer that went out: ours is its name, its digests are measured."""

    written_as: str
    packed_digest: str
    diff_id: str
    unpacked_bytes: int


@dataclasses.dataclass(frozen=True)
class _Image:
    config: manifests.Config
    layers: list[_Layer]

    def describe(self, result: Result) -> None:
        sizes = {layer.diff_id: layer.unpacked_bytes for layer in self.layers}
        result.image_id = _digest(self.config.text)
        result.architecture = self.config.architecture
        result.os = self.config.os
        result.unpacked_bytes = sum(sizes.values())
        result.layers = self.config.diff_ids
        result.history = self.config.history


def _digest(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()


class _Contents:
    """What has been seen in the archive: layers, documents, links."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._budget = layers.Budget(limits.max_unpacked_bytes,
                                     limits.max_members)
        self._special = layers.SpecialFiles()
        self._layers: dict[str, _Layer] = {}
        self._documents: dict[str, bytes] = {}
        self._document_bytes = 0
        self._links: dict[str, str] = {}
        self._useless: dict[str, str] = {}
        self._written = 0

    # Members as they come

    def copy_member(self, source: tar.Source,
                    header: tar.Header) -> Iterator[bytes]:
        """Take one member's data; yield what of it goes to the engine."""
        name = _member_name(header)
        if header.kind == tar.FILE:
            yield from self._copy_file(source, name, header.size)
        elif header.kind in tar.LINK_KINDS:
            self._add_link(name, header)
        elif header.kind != tar.DIRECTORY:
            raise words.refusal(_(
                'member %(name)s is %(kind)s, which no image archive holds')
                % {'name': words.shown(name),
                   'kind': tar.kind_name(header.kind)})

    def _add_link(self, name: str, header: tar.Header) -> None:
        target, escapes = tar.resolve_link(
            header.name, header.link, header.kind == tar.SYMLINK)
        if escapes or header.link.startswith(b'/'):
            raise words.refusal(_(
                'the link %(name)s to %(target)s leads out of the archive')
                % {'name': words.shown(name),
                   'target': words.shown(header.link)})
        self._check_new(name)
        self._links[name] = target.decode('utf-8', 'surrogateescape')

    def _copy_file(self, source, name: str, size: int) -> Iterator[bytes]:
        what = _('member %s') % words.shown(name)
        start = source.exactly(min(size, tar.BLOCK), what)
        pieces = itertools.chain(
            [start], source.pieces(size - len(start), what))
        if name in _MANIFESTS or _starts_json(start):
            self._keep_document(name, size, pieces)
        elif _starts_layer(start):
            yield from self._copy_layer(name, size, start, pieces)
        else:
            self._drop(name, pieces, _('is neither a tar archive nor '
                                       'compressed with gzip or zstd'))

    def _drop(self, name: str, pieces, reason: str) -> None:
        self._useless[name] = reason
        for _piece in pieces:
            pass

    def _keep_document(self, name: str, size: int, pieces) -> None:
        if size > self._limits.max_config_bytes:
            self._drop(name, pieces, _('is larger than %d bytes') %
                       self._limits.max_config_bytes)
            return
        data = b''.join(pieces)
        if name not in _MANIFESTS and not any(key in data
                                              for key in _USEFUL_KEYS):
            self._useless[name] = _('describes no image')
            return
        self._check_new(name, same=self._documents.get(name) == data)
        self._document_bytes += size
        if self._document_bytes > _MOST_DOCUMENT_BYTES:
            raise words.refusal(_(
                'the manifests and configs of the archive are too large'))
        self._documents[name] = data

    def _copy_layer(self, name: str, size: int, start: bytes,
                    pieces) -> Iterator[bytes]:
        written_as = 'layer-%d.tar' % self._written
        self._written += 1
        copy = _LayerCopy(_('layer %s') % words.shown(name), size,
                          compression.format_of(start))
        yield tar.file_header(written_as, copy.size)
        scan = layers.LayerScan(copy.what, self._budget, self._special)
        yield from copy.copied(pieces, scan)
        yield tar.padding(copy.size)
        layer = copy.layer(written_as)
        self._check_new(name, same=self._is_layer(name, layer.diff_id))
        self._layers[name] = layer

    def _is_layer(self, name: str, diff_id: str) -> bool:
        return name in self._layers and self._layers[name].diff_id == diff_id

    def _check_new(self, name: str, same: bool = False) -> None:
        """A name may come again, though not a manifest's, if it is equal."""
        known = (name in self._layers or name in self._documents or
                 name in self._links)
        if known and (name in _MANIFESTS or not same):
            raise words.refusal(_('the archive has two members named %s')
                                % words.shown(name))

    # The image they make

    def image(self, architecture: str | None) -> _Image:
        """Match manifest, config and layers.

        :raises: ArchiveError unless every layer is the one that the config
            names, byte for byte
        """
        manifest = self._manifest(architecture)
        config_name = self._resolved(manifest.config)
        config = manifests.read_config(
            self._document(config_name), _('the config %s') %
            words.shown(config_name), self._limits.max_layers,
            architecture, self._limits.strip_labels)
        if len(manifest.layers) != len(config.diff_ids):
            raise words.refusal(_(
                'the manifest names %(manifest)d layers, the config '
                '%(config)d') % {'manifest': len(manifest.layers),
                                 'config': len(config.diff_ids)})
        layers = [self._layer(name, diff_id) for name, diff_id
                  in zip(manifest.layers, config.diff_ids)]
        self._special.check()
        return _Image(config, layers)

    def _manifest(self, architecture) -> manifests.Manifest:
        for name in _MANIFESTS:
            if name in self._useless:
                raise self._missing(name)
        if _DOCKER_MANIFEST in self._documents:
            return manifests.read_docker_manifest(
                self._documents[_DOCKER_MANIFEST])
        if _OCI_INDEX in self._documents:
            return manifests.read_oci_index(
                self._documents[_OCI_INDEX], self._blob, architecture)
        raise words.refusal(_(
            'the archive has neither a manifest.json nor an index.json, so '
            'it holds no image'))

    def _blob(self, digest: str) -> bytes | None:
        name = manifests.blob_name(digest)
        return self._document(name) if name in self._documents else None

    def _document(self, name: str) -> bytes:
        data = self._documents.get(name)
        if data is None:
            raise self._missing(name)
        self._check_hex_name(name, _digest(data))
        return data

    def _layer(self, name: str, diff_id: str) -> _Layer:
        name = self._resolved(name)
        layer = self._layers.get(name)
        if layer is None:
            raise self._missing(name)
        if layer.diff_id != diff_id:
            raise words.refusal(_(
                'layer %(name)s is not what the config says: its digest is '
                '%(found)s instead of %(stated)s') % {
                    'name': words.shown(name), 'found': layer.diff_id,
                    'stated': diff_id})
        if name.startswith('blobs/'):
            self._check_hex_name(name, layer.packed_digest)
        return layer

    def _check_hex_name(self, name: str, digest: str) -> None:
        """Blobs and configs are named after their digest, if after any."""
        match = _HEX_NAME.fullmatch(name)
        if match and 'sha256:' + match[1] != digest:
            raise words.refusal(_(
                'member %(name)s is damaged: its digest is %(found)s') % {
                    'name': words.shown(name), 'found': digest})

    def _missing(self, name: str):
        reason = self._useless.get(name) or (
            _('is no image document') if name in self._layers else
            _('is no layer') if name in self._documents else
            _('is missing from the archive'))
        return words.refusal(_('member %(name)s %(reason)s') % {
            'name': words.shown(name), 'reason': reason})

    def _resolved(self, name: str) -> str:
        """The member that a name in a manifest stands for."""
        name = '/'.join(part for part in name.split('/')
                        if part not in ('', '.'))
        for _hop in range(_MOST_LINKS_FOLLOWED):
            if name not in self._links:
                return name
            name = self._links[name]
        raise words.refusal(_('the links of the archive go round in '
                              'circles at %s') % words.shown(name))


class _LayerCopy:
    """One layer on its way: copied, unpacked to be measured and scanned.

    A gzip layer goes out as it is, as the engine reads it and its size is
    known. Engines before 23.0 cannot read zstd: it goes out as gzip.
    """

    def __init__(self, what: str, size: int, packing: str | None):
        self.what = what
        self._packing = packing
        self._repack = (compression.PaddedGzip(size) if packing == 'zstd'
                        else None)
        self.size = self._repack.size if self._repack else size
        self._packed = digests.Digest('sha256')
        self._unpacked = digests.Digest('sha256')
        self._unpacked_bytes = 0

    def copied(self, pieces, scan: layers.LayerScan) -> Iterator[bytes]:
        if self._packing:
            inflater = compression.Inflater(self._packing, self.what)
            yield from self._copied_packed(pieces, inflater, scan)
        else:
            yield from self._copied_plain(pieces, scan)
        scan.finish()

    def _copied_plain(self, pieces, scan) -> Iterator[bytes]:
        for piece in pieces:
            self._measure(piece, scan)
            yield piece
        self._packed = self._unpacked

    def _copied_packed(self, pieces, inflater, scan) -> Iterator[bytes]:
        for piece in pieces:
            self._packed.update(piece)
            for content in inflater.feed(piece):
                self._measure(content, scan)
                if self._repack:
                    yield self._repack.feed(content)
            if not self._repack:
                yield piece
        inflater.finish()
        if self._repack:
            yield from self._repack.finish()

    def _measure(self, content: bytes, scan: layers.LayerScan) -> None:
        self._unpacked_bytes += len(content)
        self._unpacked.update(content)
        scan.feed(content)

    def layer(self, written_as: str) -> _Layer:
        return _Layer(written_as, 'sha256:' + self._packed.hexdigest(),
                      'sha256:' + self._unpacked.hexdigest(),
                      self._unpacked_bytes)


def _member_name(header: tar.Header) -> str:
    """The member's plain path.

    :raises: ArchiveError for names that lead elsewhere
    """
    name = header.name
    if name.startswith(b'/'):
        raise words.refusal(_('member %s has an absolute name') %
                            words.shown(name))
    parts = tar.components(name)
    if b'..' in parts:
        raise words.refusal(_('member %s leads out of the archive') %
                            words.shown(name))
    if len(name) > _LONGEST_NAME:
        raise words.refusal(_('the name of member %s is too long') %
                            words.shown(name))
    return b'/'.join(parts).decode('utf-8', 'surrogateescape')


def _starts_json(start: bytes) -> bool:
    return start.lstrip(b' \t\r\n')[:1] == b'{' and not _starts_layer(start)


def _starts_layer(start: bytes) -> bool:
    """A tar archive, which may be empty, or one that is compressed."""
    return (not start.strip(b'\0') or
            compression.format_of(start) is not None or
            len(start) == tar.BLOCK and
            tar.parse_header(start) is not None)
