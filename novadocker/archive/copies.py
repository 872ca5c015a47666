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

"""One layer on its way to the engine: copied, measured and scanned."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from novadocker.archive import compression
from novadocker.archive import digests
from novadocker.archive import layers
from novadocker.archive import tar


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer that went out: ours is its name, its digests are measured."""

    written_as: str
    packed_digest: str
    diff_id: str
    unpacked_bytes: int


class LayerCopy:
    """Bytes in, bytes out, of a size that is known before the first.

    Plain and gzip layers go out as they are: every engine reads them, and
    their size is known. What only some engines read goes out as gzip, and so
    does a plain layer that begins as if it were compressed, which the engine
    would believe.

    :param start: the first bytes of the layer
    :param unpacked_size: what an earlier reading found, if there was one
    :ivar fits: False when the layer did not fit into the size that was
        promised for it; what went out is of no use then
    """

    def __init__(self, what: str, size: int, start: bytes,
                 unpacked_size: int | None):
        self.what = what
        self.fits = True
        self._packing = compression.format_of(start)
        self._writer = self._new_writer(size, start, unpacked_size)
        self.size = self._writer.size if self._writer else size
        self._packed = digests.Digest('sha256')
        self._unpacked = digests.Digest('sha256')
        self._unpacked_bytes = 0

    def _new_writer(self, size: int, start: bytes, unpacked_size: int | None
                    ) -> compression.PaddedGzip | None:
        believed = compression.looks_packed(start)
        if self._packing == believed and believed in (None, 'gzip'):
            return None
        if self._packing is None:
            unpacked_size = size
        return compression.PaddedGzip(
            compression.room_for_packed(size) if unpacked_size is None
            else compression.room_for_content(unpacked_size))

    def copied(self, pieces: Iterable[tar.Data],
               scan: layers.LayerScan) -> Iterator[tar.Data]:
        if self._packing:
            yield from self._copied_packed(pieces, scan)
        else:
            yield from self._copied_plain(pieces, scan)
        scan.finish()
        yield from self._ended()

    def _copied_plain(self, pieces: Iterable[tar.Data],
                      scan: layers.LayerScan) -> Iterator[tar.Data]:
        for piece in pieces:
            self._measure(piece, scan)
            yield self._written(piece) if self._writer else piece
        self._packed = self._unpacked

    def _copied_packed(self, pieces: Iterable[tar.Data],
                       scan: layers.LayerScan) -> Iterator[tar.Data]:
        inflater = compression.Inflater(self._packing or '', self.what)
        for piece in pieces:
            self._packed.update(piece)
            for content in inflater.feed(piece):
                self._measure(content, scan)
                if self._writer:
                    yield self._written(content)
            if not self._writer:
                yield piece
        inflater.finish()

    def _measure(self, content: tar.Data, scan: layers.LayerScan) -> None:
        self._unpacked_bytes += len(content)
        self._unpacked.update(content)
        scan.feed(content)

    def _written(self, content: tar.Data) -> bytes:
        if not self.fits or not self._writer:
            return b''
        try:
            return self._writer.feed(content)
        except compression.NoRoom:
            self.fits = False
            return b''

    def _ended(self) -> Iterator[tar.Data]:
        if not self.fits or not self._writer:
            return
        try:
            yield from self._writer.finish()
        except compression.NoRoom:
            self.fits = False

    @property
    def is_repacked(self) -> bool:
        return self._writer is not None

    def layer(self, written_as: str) -> Layer:
        return Layer(written_as, 'sha256:' + self._packed.hexdigest(),
                     'sha256:' + self._unpacked.hexdigest(),
                     self._unpacked_bytes)
