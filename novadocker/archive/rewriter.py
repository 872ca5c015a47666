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
from collections.abc import Mapping

from novadocker.archive import compression
from novadocker.archive import contents
from novadocker.archive import imageconfig
from novadocker.archive import manifests
from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

# What an archive holds besides its layers.
_OVERHEAD = 64 * 1024 ** 2


def sanitise(chunks: Iterable[bytes], tag: str, limits: contents.Limits,
             rules: imageconfig.Rules,
             sizes: Mapping[str, int] | None = None) -> Iterator[bytes]:
    """Read an untrusted archive and yield one of our own.

    Errors of ``chunks`` itself pass unchanged. ``chunks`` is read to its
    end before the manifest is yielded, so that a checksum taken on the way
    in can still stop the load by raising there.

    :param tag: the one name that the image will have
    :param sizes: those of ReadAgain, at a second reading
    :raises: ArchiveError when the archive must not be loaded
    :raises: ReadAgain, a kind of it, when a layer, unpacked, needs more room
        than a first reading can tell; with ``sizes`` the second one can
    """
    return tar.blocks(_rewritten(
        _plain(chunks, limits), tag,
        contents.Contents(limits, rules, sizes or {}), limits.max_entries))


def _plain(chunks: Iterable[bytes],
           limits: contents.Limits) -> Iterator[bytes]:
    arriving = _limited(chunks, limits.max_archive_bytes, _(
        'the archive is larger than the %d bytes that the image service '
        'declared'))
    return _limited(
        compression.expanded(arriving), limits.max_unpacked_bytes + _OVERHEAD,
        _('the archive unpacks to more than %d bytes, the disk of the flavor '
          'or the limit of this cloud'))


def _rewritten(unpacked: Iterator[bytes], tag: str, held: contents.Contents,
               max_entries: int) -> Iterator[tar.Data]:
    source = tar.Source(unpacked)
    for header in tar.members(source, max_entries):
        for block in held.copy_member(source, header):
            if not held.to_read_again:
                yield block
    image = held.image()
    if held.to_read_again:
        raise words.ReadAgain(held.to_read_again)
    yield from _file('config.json', image.config_text())
    yield from _file(contents.DOCKER_MANIFEST, manifests.docker_manifest(
        'config.json', tag, [layer.written_as for layer in image.layers]))
    yield tar.ZERO_BLOCK * 2


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
