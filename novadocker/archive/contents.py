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

"""What has been seen in an archive, and which image it makes."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import hashlib
import itertools
import re

from novadocker.archive import compression
from novadocker.archive import copies
from novadocker.archive import imageconfig
from novadocker.archive import layers
from novadocker.archive import manifests
from novadocker.archive import tar
from novadocker.archive import userfiles
from novadocker.archive import words
from novadocker.i18n import _

_GIB = 1024 ** 3
_MIB = 1024 ** 2

DOCKER_MANIFEST = 'manifest.json'
_OCI_INDEX = 'index.json'
_MANIFESTS = (DOCKER_MANIFEST, _OCI_INDEX)
# A config or a manifest has one of these; a bill of materials, which may be
# large and name layers too, has not.
_USEFUL_KEYS = (b'"rootfs"', b'"schemaVersion"')
_MOST_DOCUMENT_BYTES = 8 * _MIB
_LONGEST_NAME = 1024
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
    """

    max_archive_bytes: int | None = None
    max_unpacked_bytes: int = 64 * _GIB
    max_members: int = 1_000_000
    max_entries: int = 4096
    max_config_bytes: int = 4 * _MIB
    max_layers: int = 125


@dataclasses.dataclass(frozen=True)
class Image:
    config: imageconfig.Config
    layers: list[copies.Layer]

    def config_text(self) -> bytes:
        sizes = {layer.diff_id: layer.unpacked_bytes for layer in self.layers}
        return self.config.written(sum(sizes.values()))


def _digest(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()


class Contents:
    """Layers, documents and links of an archive.

    :param sizes: of layers, as an earlier reading found them
    :ivar to_read_again: of layers, empty when what went out can be used
    """

    def __init__(self, limits: Limits, rules: imageconfig.Rules,
                 sizes: Mapping[str, int]):
        self._limits = limits
        self._rules = rules
        self._sizes = sizes
        self._budget = layers.Budget(limits.max_unpacked_bytes,
                                     limits.max_members)
        self._user_files = userfiles.UserFiles()
        self._layers: dict[str, copies.Layer] = {}
        self._documents: dict[str, bytes] = {}
        self._document_bytes = 0
        self._links: dict[str, str] = {}
        self._useless: dict[str, str] = {}
        self._repacked: dict[str, int] = {}
        self._all_fit = True
        self._written = 0

    # Members as they come

    def copy_member(self, source: tar.Source,
                    header: tar.Header) -> Iterator[tar.Data]:
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

    def _copy_file(self, source: tar.Source, name: str,
                   size: int) -> Iterator[tar.Data]:
        what = _('member %s') % words.shown(name)
        start = source.exactly(min(size, tar.BLOCK), what)
        pieces: Iterator[tar.Data] = itertools.chain(
            [start], source.pieces(size - len(start), what))
        if name in _MANIFESTS or _starts_json(start):
            self._keep_document(name, size, pieces)
        elif _starts_layer(start):
            yield from self._copy_layer(name, size, start, pieces)
        else:
            self._drop(name, pieces, _('is neither a tar archive nor '
                                       'compressed with gzip, zstd, xz or '
                                       'bzip2'))

    def _drop(self, name: str, pieces: Iterable[tar.Data],
              reason: str) -> None:
        self._useless[name] = reason
        for _piece in pieces:
            pass

    def _keep_document(self, name: str, size: int,
                       pieces: Iterable[tar.Data]) -> None:
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
        if self._document_bytes + size > _MOST_DOCUMENT_BYTES:
            self._useless[name] = _('comes after too many other manifests '
                                    'and configs')
            return
        self._document_bytes += size
        self._documents[name] = data

    def _copy_layer(self, name: str, size: int, start: bytes,
                    pieces: Iterable[tar.Data]) -> Iterator[tar.Data]:
        written_as = 'layer-%d.tar' % self._written
        self._written += 1
        copy = copies.LayerCopy(_('layer %s') % words.shown(name), size,
                                start, self._sizes.get(name))
        yield tar.file_header(written_as, copy.size)
        scan = layers.LayerScan(copy.what, self._budget, self._user_files)
        yield from copy.copied(pieces, scan)
        yield tar.padding(copy.size)
        layer = copy.layer(written_as)
        self._check_new(name, same=self._is_layer(name, layer.diff_id))
        self._layers[name] = layer
        self._all_fit = self._all_fit and copy.fits
        if copy.is_repacked:
            self._repacked[name] = layer.unpacked_bytes

    @property
    def to_read_again(self) -> Mapping[str, int]:
        return {} if self._all_fit else self._repacked

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

    def image(self) -> Image:
        """Match manifest, config and layers.

        :raises: ArchiveError unless every layer is the one that the config
            names, byte for byte
        """
        manifest = self._manifest()
        config_name = self._resolved(manifest.config)
        config = imageconfig.read(
            self._document(config_name), _config_named(config_name),
            self._limits.max_layers, self._rules)
        if len(manifest.layers) != len(config.diff_ids):
            raise words.refusal(_(
                'the manifest names %(manifest)d layers, the config '
                '%(config)d') % {'manifest': len(manifest.layers),
                                 'config': len(config.diff_ids)})
        found = [self._layer(name, diff_id) for name, diff_id
                 in zip(manifest.layers, config.diff_ids)]
        self._user_files.check()
        return Image(config, found)

    def _manifest(self) -> manifests.Manifest:
        """An index is asked where manifest.json names no image for us.

        Engines write both for an image of several platforms: one for their
        own, the other for all. What neither has is refused by its config.
        """
        for name in _MANIFESTS:
            if name in self._useless:
                raise self._missing(name)
        index = self._documents.get(_OCI_INDEX)
        if DOCKER_MANIFEST in self._documents:
            rows = manifests.read_docker_manifest(
                self._documents[DOCKER_MANIFEST])
            ours = manifests.best_for(self._rules.architecture, (
                manifests.Candidate(row, self._architecture(row))
                for row in rows))
            if ours or index is None:
                return manifests.the_one(ours or rows)
        if index is None:
            raise words.refusal(_(
                'the archive has neither a manifest.json nor an index.json, '
                'so it holds no image'))
        return manifests.read_oci_index(index, self._blob,
                                        self._rules.architecture)

    def _architecture(self, manifest: manifests.Manifest) -> str:
        """What the config says; nothing if it is not there."""
        name = self._resolved(manifest.config)
        if name not in self._documents:
            return ''
        return imageconfig.architecture_of(
            self._documents[name], _config_named(name))

    def _blob(self, digest: str) -> bytes | None:
        name = manifests.blob_name(digest)
        return self._document(name) if name in self._documents else None

    def _document(self, name: str) -> bytes:
        data = self._documents.get(name)
        if data is None:
            raise self._missing(name)
        self._check_hex_name(name, _digest(data))
        return data

    def _layer(self, name: str, diff_id: str) -> copies.Layer:
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

    def _missing(self, name: str) -> words.ArchiveError:
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


def _config_named(name: str) -> str:
    return _('the config %s') % words.shown(name)
