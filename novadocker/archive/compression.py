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


"""gzip and zstd as streams that cannot blow up.

Decompressors are asked for at most one piece at a time, whatever a few
hostile bytes would expand to. All members of a gzip file and all frames of a
zstd file are read, as the engine does; what follows the last is refused.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import typing
import zlib

try:
    from compression import zstd
except ImportError:  # Python < 3.14
    from backports import zstd

from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

_GZIP_MAGIC = b'\x1f\x8b\x08'
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# Skippable frames may lead a zstd file: 0x184D2A50 to 0x184D2A5F.
_ZSTD_SKIPPABLE = b'\x2a\x4d\x18'

# The memory of a decoder is its window, and a layer may be packed within a
# packed archive. 32 MiB is what the best level of the encoder in container
# tools asks for, 8 MiB what "zstd -19" does.
_LAYER_WINDOW_LOG = 25
_ARCHIVE_WINDOW_LOG = 23
# eStargz compresses every file of a layer on its own.
_MOST_MEMBERS = 1_000_000
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_FAST_LEVEL = 1


def format_of(start: bytes) -> str | None:
    """``gzip``, ``zstd`` or None, by the first bytes."""
    if start.startswith(_GZIP_MAGIC):
        return 'gzip'
    if start.startswith(_ZSTD_MAGIC) or (
            start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return 'zstd'
    return None


class Inflater:
    """Decompress what is fed, in pieces; ``finish`` demands a whole file."""

    def __init__(self, kind: str, what: str,
                 window_log: int = _LAYER_WINDOW_LOG):
        self._what = what
        self._kind = kind
        self._window_log = window_log
        self._decoder: typing.Any = None
        self._members = 0
        self._more = False
        self._decode = self._gunzip if kind == 'gzip' else self._unzstd

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        rest = bytes(data)
        while rest or self._more:
            piece, rest = self._step(rest)
            # A full piece may have left output behind in the decoder.
            self._more = (len(piece) == tar.PIECE and
                          not self._decoder.eof)
            if piece:
                yield piece

    def finish(self) -> None:
        if self._decoder is not None and not self._decoder.eof:
            raise words.refusal(_('the %(kind)s data of %(what)s is cut '
                                  'off') % self._names())

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        if self._decoder is None or self._decoder.eof:
            self._decoder = self._new_decoder()
        try:
            return self._decode(data)
        except (zlib.error, zstd.ZstdError) as err:
            raise words.refusal(
                _('the %(kind)s data of %(what)s is damaged, or needs more '
                  'than %(memory)d MiB of memory to unpack (%(error)s)') %
                dict(self._names(), error=err,
                     memory=1 << self._window_log - 20)) from err

    def _new_decoder(self):
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise words.refusal(_('the %(kind)s data of %(what)s has '
                                  'too many parts') % self._names())
        if self._kind == 'gzip':
            return zlib.decompressobj(_GZIP_WINDOW_BITS)
        return zstd.ZstdDecompressor(options={
            zstd.DecompressionParameter.window_log_max: self._window_log})

    def _gunzip(self, data: bytes) -> tuple[bytes, bytes]:
        piece = self._decoder.decompress(data, tar.PIECE)
        if self._decoder.eof:
            return piece, self._decoder.unused_data
        return piece, self._decoder.unconsumed_tail

    def _unzstd(self, data: bytes) -> tuple[bytes, bytes]:
        piece = self._decoder.decompress(data, tar.PIECE)
        return piece, self._decoder.unused_data if self._decoder.eof else b''

    def _names(self) -> dict[str, str]:
        return {'kind': self._kind, 'what': self._what}


def expanded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A stream without the compression around it, if it has one."""
    chunks = iter(chunks)
    start = b''
    while len(start) < 4:
        chunk = next(chunks, None)
        if chunk is None:
            break
        start += bytes(chunk)
    chunks = itertools.chain([start], chunks)
    kind = format_of(start)
    return chunks if kind is None else _inflated(chunks, kind)


def _inflated(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    inflater = Inflater(kind, _('the archive'), _ARCHIVE_WINDOW_LOG)
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), tar.PIECE):
            yield from inflater.feed(view[start:start + tar.PIECE])
    inflater.finish()


class PaddedGzip:
    """Repack data of unknown length as gzip of a length told beforehand.

    A tar header states the size of its member, but how much a zstd layer
    holds is known only at its end. So room is promised from the size of the
    zstd data, and what is not needed is filled with empty gzip members,
    which every reader of gzip skips.
    """

    def __init__(self, packed_size: int):
        # One byte of zstd data can stand for 32 KiB, of which the fast level
        # of gzip makes some 150 bytes.
        self.size = (2 * packed_size + min(8 << 20, 256 * packed_size) +
                     4 * len(_empty_member()))
        self._left = self.size
        self._encoder = zlib.compressobj(_FAST_LEVEL, zlib.DEFLATED,
                                         _GZIP_WINDOW_BITS)

    def feed(self, data: bytes) -> bytes:
        return self._count(self._encoder.compress(data))

    def finish(self) -> Iterator[bytes]:
        yield self._count(self._encoder.flush())
        smallest = len(_empty_member(0))
        largest = smallest + 0xffff
        while self._left > largest + smallest:
            yield self._count(_empty_member(0xffff))
        if self._left > largest:
            yield self._count(_empty_member(self._left // 2 - smallest))
        yield self._count(_empty_member(self._left - smallest))

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < len(_empty_member(0)) and self._left != 0:
            raise words.refusal(_(
                'a layer compressed with zstd cannot be repacked for the '
                'engine; compress it with gzip'))
        return data


def _empty_member(extra: int = 0) -> bytes:
    """A gzip member without data, stretched by ``extra`` bytes (RFC 1952)."""
    return (b'\x1f\x8b\x08\x04' + bytes(6) + extra.to_bytes(2, 'little') +
            bytes(extra) + b'\x03\0' + bytes(8))
