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

"""Compressed streams that cannot blow up.

Decompressors are asked for at most one piece at a time, whatever a few
hostile bytes would expand to. All members of a gzip file, all frames of a
zstd file and all streams of xz and bzip2 files are read, as the engine does;
what follows the last is refused.
"""

import bz2
from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import lzma
import typing
import zlib

try:
    from compression import zstd
except ImportError:  # Python < 3.14
    from backports import zstd

from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

_MAGIC = {b'\x1f\x8b\x08': 'gzip', b'\x28\xb5\x2f\xfd': 'zstd',
          b'\xfd7zXZ\0': 'xz', b'BZh': 'bzip2'}
# Skippable frames may lead a zstd file: 0x184D2A50 to 0x184D2A5F.
_ZSTD_SKIPPABLE = b'\x2a\x4d\x18'

# The memory of a decoder is its window (exponents of 2), and a layer may be
# packed within a packed archive. 32 MiB is what the best level of the zstd
# encoder in container tools asks for, 8 MiB what "zstd -19" does, 64 MiB
# what "xz -9" does.
_LAYER_WINDOWS = {'zstd': 25, 'xz': 25}
_ARCHIVE_WINDOWS = {'zstd': 23, 'xz': 26}
# What an xz decoder takes beside its window.
_XZ_OVERHEAD = 2 << 20
# eStargz compresses every file of a layer on its own.
_MOST_MEMBERS = 1_000_000
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_FAST_LEVEL = 1
# What gzip holds back until it ends, and the smallest filling.
_SLACK = 256 << 10


def looks_packed(start: bytes) -> str | None:
    """What the engine takes data that begins like this for.

    ``gzip``, ``zstd``, ``xz``, ``bzip2``, or None for a plain tar archive.
    """
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5:
        return 'zstd'
    return None


def format_of(start: bytes) -> str | None:
    """What data that begins like this really is, as above.

    The name of an archive's first member may be anything, and read "BZh".
    """
    if len(start) >= tar.BLOCK and tar.parse_header(start[:tar.BLOCK]):
        return None
    return looks_packed(start)


class Inflater:
    """Decompress what is fed, in pieces; ``finish`` demands a whole file."""

    def __init__(self, kind: str, what: str,
                 windows: dict[str, int] = _LAYER_WINDOWS):
        self._what = what
        self._kind = kind
        self._window_log = windows.get(kind, 0)
        self._decoder: typing.Any = None
        self._members = 0
        self._more = False

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
        if self._decoder is None:
            self._decoder = self._new_decoder()
        elif self._decoder.eof:
            if self._kind == 'xz':
                # Zeros may follow a stream, to fill up blocks.
                data = data.lstrip(b'\0')
                if not data:
                    return b'', b''
            self._decoder = self._new_decoder()
        try:
            return self._decoded(data)
        except (zlib.error, zstd.ZstdError, lzma.LZMAError, OSError) as err:
            raise self._damaged(err) from err

    def _new_decoder(self) -> typing.Any:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise words.refusal(_('the %(kind)s data of %(what)s has '
                                  'too many parts') % self._names())
        if self._kind == 'gzip':
            return zlib.decompressobj(_GZIP_WINDOW_BITS)
        if self._kind == 'bzip2':
            return bz2.BZ2Decompressor()
        if self._kind == 'xz':
            return lzma.LZMADecompressor(
                lzma.FORMAT_XZ, (1 << self._window_log) + _XZ_OVERHEAD)
        return zstd.ZstdDecompressor(options={
            zstd.DecompressionParameter.window_log_max: self._window_log})

    def _decoded(self, data: bytes) -> tuple[bytes, bytes]:
        """The next piece, and what is left of ``data``."""
        piece = self._decoder.decompress(data, tar.PIECE)
        if self._decoder.eof:
            return piece, self._decoder.unused_data
        if self._kind == 'gzip':
            return piece, self._decoder.unconsumed_tail
        return piece, b''

    def _damaged(self, err: Exception) -> words.ArchiveError:
        if not self._window_log:
            reason = _('the %(kind)s data of %(what)s is damaged (%(error)s)')
        else:
            reason = _('the %(kind)s data of %(what)s is damaged, or needs '
                       'more than %(memory)d MiB of memory to unpack '
                       '(%(error)s)')
        return words.refusal(reason % dict(
            self._names(), error=err, memory=(1 << self._window_log) >> 20))

    def _names(self) -> dict[str, object]:
        return {'kind': self._kind, 'what': self._what}


def expanded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A stream without the compression around it, if it has one."""
    chunks = iter(chunks)
    start = b''
    while len(start) < tar.BLOCK:
        chunk = next(chunks, None)
        if chunk is None:
            break
        start += bytes(chunk)
    chunks = itertools.chain([start], chunks)
    kind = format_of(start)
    return chunks if kind is None else _inflated(chunks, kind)


def _inflated(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    inflater = Inflater(kind, _('the archive'), _ARCHIVE_WINDOWS)
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), tar.PIECE):
            yield from inflater.feed(view[start:start + tar.PIECE])
    inflater.finish()


class NoRoom(Exception):
    """Data needs more than the size that was promised for it."""


class PaddedGzip:
    """Repack data of unknown length as gzip of a length told beforehand.

    A tar header states the size of its member, but how much gzip makes of a
    layer is known only at its end. So enough is promised, and what is not
    needed is filled with empty gzip members, which every reader of gzip
    skips.

    :param size: the promise; ``NoRoom`` is raised when it is not enough
    """

    def __init__(self, size: int):
        self.size = size
        self._left = size
        self._encoder = zlib.compressobj(_FAST_LEVEL, zlib.DEFLATED,
                                         _GZIP_WINDOW_BITS)

    def feed(self, data: bytes | memoryview) -> bytes:
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
            raise NoRoom
        return data


def room_for_packed(size: int) -> int:
    """What gzip makes of data that took ``size`` bytes in another format.

    One byte of zstd data can stand for 32 KiB, of which the fast level of
    gzip makes some 150 bytes. It is not enough for data that repeats itself
    over more than the 32 KiB that gzip looks back.
    """
    return 2 * size + min(8 << 20, 256 * size) + _SLACK


def room_for_content(size: int) -> int:
    """What gzip makes of ``size`` bytes at the very most."""
    return size + (size >> 10) + _SLACK


def _empty_member(extra: int = 0) -> bytes:
    """A gzip member without data, stretched by ``extra`` bytes (RFC 1952)."""
    return (b'\x1f\x8b\x08\x04' + bytes(6) + extra.to_bytes(2, 'little') +
            bytes(extra) + b'\x03\0' + bytes(8))
