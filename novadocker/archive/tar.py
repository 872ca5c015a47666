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


"""Tar as a stream: a bounded reader, strict headers, headers of our own.

Headers are read as the engine's own reader (Go's archive/tar) reads them,
so that what is inspected here is what the engine unpacks. Where that reader
is lenient this one refuses; it never understands less.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import re
import tarfile
import zlib

from novadocker.archive import words
from novadocker.i18n import _

# What moves through: pieces are views of what came in.
Data = bytes | memoryview

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
# The size of pieces that move through: large enough to be fast, small enough
# to stay in the processor's cache.
PIECE = 64 * 1024
# An extended header is held in memory; the engine has the same limit.
MAX_EXTENDED = 1024 * 1024
MAX_NAME = 4096

_OLD_FILE = b'\0'
FILE = b'0'
HARD_LINK = b'1'
SYMLINK = b'2'
CHARACTER = b'3'
DEVICE = b'4'
DIRECTORY = b'5'
FIFO = b'6'
GNU_LONG_LINK = b'K'
GNU_LONG_NAME = b'L'
GNU_SPARSE = b'S'
PAX_GLOBAL = b'g'
PAX = b'x'

EXTENDED_KINDS = frozenset((GNU_LONG_LINK, GNU_LONG_NAME, PAX_GLOBAL, PAX))
LINK_KINDS = frozenset((HARD_LINK, SYMLINK))
SPECIAL_KINDS = frozenset((CHARACTER, DEVICE, FIFO))
# Members that have no data, whatever their header's size says.
_DATALESS = LINK_KINDS | SPECIAL_KINDS | {DIRECTORY}

_KIND_NAMES = {
    CHARACTER: _('a character device'),
    DEVICE: _('a block device'),
    FIFO: _('a FIFO'),
    GNU_SPARSE: _('a sparse file'),
    HARD_LINK: _('a hard link'),
    SYMLINK: _('a symbolic link'),
}

_OCTAL = re.compile(rb'[ \0]*([0-7]*)[ \0]*')
_DECIMAL = re.compile(rb'[0-9]{1,19}')
# Keys whose values the engine reads as numbers, or refuses.
_PAX_NUMBERS = {
    **dict.fromkeys((b'uid', b'gid'), re.compile(rb'[+-]?[0-9]{1,18}')),
    **dict.fromkeys((b'mtime', b'atime', b'ctime'), re.compile(
        rb'[+-]?[0-9]{1,18}(\.[0-9]*)?'))}
_GLOBAL_KEYS_REFUSED = (b'path', b'linkpath', b'size', b'GNU.sparse')
# The engine's own; "user.overlay." means nothing to an engine run by root.
_OVERLAY_XATTRS = b'SCHILY.xattr.trusted.overlay.'


def kind_name(kind: bytes) -> str:
    return (_KIND_NAMES.get(kind) or
            _('a member of the unknown type %s') % words.shown(kind))


@dataclasses.dataclass(slots=True)
class Header:
    """One member as its header and its extended headers describe it."""

    name: bytes
    link: bytes
    kind: bytes
    size: int

    @property
    def data_size(self) -> int:
        return 0 if self.kind in _DATALESS else self.size

    @property
    def padding(self) -> int:
        return -self.data_size % BLOCK


def parse_header(block: bytes) -> Header | None:
    """Read one 512-byte header; None when it is no tar header at all."""
    if not _checksum_agrees(block):
        return None
    name = _string(block[:100])
    prefix = _prefix(block)
    return Header(
        name=prefix + b'/' + name if prefix else name,
        link=_string(block[157:257]),
        kind=block[156:157],
        size=_number(block[124:136], name))


def _checksum_agrees(block: bytes) -> bool:
    """The sum counts itself as blanks; old tars summed signed bytes."""
    match = _OCTAL.fullmatch(block[148:156])
    if not match or not match[1]:
        return False
    stated = int(match[1], 8)
    actual = _sum(block) - sum(block[148:156]) + 8 * 0x20
    return stated == actual or stated == _signed_sum(block)


def _sum(block: bytes) -> int:
    """As ``sum``, of which most of the time for a small file was spent.

    The low half of Adler-32 is one more than the sum of the bytes, modulo
    65521, which the sum of 256 bytes does not reach.
    """
    return ((zlib.adler32(block[:256]) & 0xffff) +
            (zlib.adler32(block[256:]) & 0xffff) - 2)


def _signed_sum(block: bytes) -> int:
    rest = block[:148] + block[156:]
    return sum(rest) - 256 * sum(byte > 127 for byte in rest) + 8 * 0x20


def _string(field: bytes) -> bytes:
    return field.partition(b'\0')[0]


def _prefix(block: bytes) -> bytes:
    """The front of a long name, which every dialect keeps elsewhere."""
    if block[257:263] == b'ustar\0':
        star = block[508:512] == b'tar\0'
        return _string(block[345:476 if star else 500])
    if ((block[345] or block[357]) and block[257:265] == b'ustar  \0' and
            _misplaced_prefix(block)):
        return _string(block[345:500])
    return b''


def _misplaced_prefix(block: bytes) -> bool:
    """Old Go wrote a prefix where GNU tar has times; readers allow for it."""
    times = [time for time in (block[345:357], block[357:369])
             if time[0] and not time[0] & 0x80]
    return (any(not _OCTAL.fullmatch(time) for time in times) and
            _string(block[345:500]).isascii())


def _number(field: bytes, name: bytes) -> int:
    """A size in octal, or in base 256 when its first bit is set."""
    if field[0] & 0x80:
        # Negative numbers have their high bits set, so they are too large.
        value = int.from_bytes(field, 'big') & ((1 << 95) - 1)
        if value >> 63:
            raise words.refusal(_('the size of member %s is out of range') %
                                words.shown(name))
        return value
    match = _OCTAL.fullmatch(field)
    if not match:
        raise words.refusal(_('the size of member %s is no octal number') %
                            words.shown(name))
    return int(match[1] or b'0', 8)


class Extended:
    """The extended headers in front of one member, applied to it.

    Each kind may come once; a stream of them without a member behind would
    otherwise go on for ever.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] = {}

    @property
    def pending(self) -> bool:
        return bool(self._seen)

    def add(self, header: Header, payload: bytes) -> None:
        if header.kind == PAX_GLOBAL:
            self._check_global(payload)
            return
        if header.kind in self._seen:
            raise words.refusal(_('there are two extended headers in a row in '
                                  'front of one member'))
        self._seen[header.kind] = payload

    def _check_global(self, payload: bytes) -> None:
        # Readers disagree on what a global header changes, so it may only
        # carry what changes nothing, such as the commit id of git archive.
        if self._seen:
            raise words.refusal(_('a global extended header stands between a '
                                  'member and its own extended header'))
        for key, _value in _pax_records(payload):
            if key.startswith(_GLOBAL_KEYS_REFUSED):
                raise words.refusal(_('a global extended header sets %s') %
                                    words.shown(key))

    def apply(self, header: Header) -> Header:
        """Complete ``header`` and forget; the kind of it may change too."""
        if self._seen:
            self._apply_pax(header)
            header.name = (_string(self._seen.get(GNU_LONG_NAME, b'')) or
                           header.name)
            header.link = (_string(self._seen.get(GNU_LONG_LINK, b'')) or
                           header.link)
            self._seen = {}
        if header.kind == _OLD_FILE:
            header.kind = DIRECTORY if header.name.endswith(b'/') else FILE
        elif header.kind == FILE and header.name.endswith(b'/'):
            raise words.refusal(_('member %s is a file named as a directory') %
                                words.shown(header.name))
        if header.kind == GNU_SPARSE:
            raise _sparse(header)
        if max(len(header.name), len(header.link)) > MAX_NAME:
            raise words.refusal(_(
                'the name of member %s is longer than %d bytes') %
                (words.shown(header.name), MAX_NAME))
        return header

    def _apply_pax(self, header: Header) -> None:
        sparse = False
        for key, value in _pax_records(self._seen.get(PAX, b'')):
            sparse = sparse or key.startswith(b'GNU.sparse')
            if key.startswith(_OVERLAY_XATTRS):
                raise words.refusal(_(
                    'member %s carries the attribute %s, which belongs to '
                    'the engine') %
                    (words.shown(header.name), words.shown(key)))
            if not value:
                continue
            if key == b'path':
                header.name = value
            elif key == b'linkpath':
                header.link = value
            elif key == b'size':
                header.size = _decimal(value, header.name)
            elif key in _PAX_NUMBERS and not (
                    _PAX_NUMBERS[key].fullmatch(value)):
                raise words.refusal(_(
                    'the extended %(key)s of member %(name)s is no number') %
                    {'key': key.decode(), 'name': words.shown(header.name)})
        if sparse:
            raise _sparse(header)


def _sparse(header: Header) -> words.ArchiveError:
    return words.refusal(_(
        'member %s is a sparse file, which may grow without limit when '
        'unpacked') % words.shown(header.name))


def _decimal(value: bytes, name: bytes) -> int:
    if not _DECIMAL.fullmatch(value) or int(value) >> 63:
        raise words.refusal(_('the extended size of member %s is no number') %
                            words.shown(name))
    return int(value)


def _pax_records(payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Split ``"<length> <key>=<value>\\n"`` records (POSIX pax, 2001)."""
    position = 0
    while position < len(payload):
        blank = payload.find(b' ', position, position + 20)
        length = payload[position:blank] if blank > 0 else b''
        if not _DECIMAL.fullmatch(length):
            raise _bad_pax()
        end = position + int(length)
        key, equals, value = payload[blank + 1:end - 1].partition(b'=')
        if (end > len(payload) or end <= blank + 1 or
                payload[end - 1:end] != b'\n' or not key or not equals):
            raise _bad_pax()
        if b'\0' in key or (b'\0' in value and
                            key in (b'path', b'linkpath')):
            raise words.refusal(
                _('an extended header holds a name with a NUL'))
        yield key, value
        position = end


def _bad_pax() -> words.ArchiveError:
    return words.refusal(_('an extended header is damaged'))


def components(name: bytes) -> list[bytes]:
    """The parts of a path; empty and ``.`` parts mean nothing."""
    return [part for part in name.split(b'/') if part not in (b'', b'.')]


def resolve_link(name: bytes, link: bytes,
                 relative: bool) -> tuple[bytes, bool]:
    """Where a link leads, and whether that is out of its tree.

    Symbolic links are relative to their directory, hard links to the root.
    An absolute target starts at the root of the tree, and nothing is above
    it: a path that climbs too high is taken to stay there, as Linux does.
    """
    path = (components(name)[:-1]
            if relative and not link.startswith(b'/') else [])
    escapes = False
    for part in components(link):
        if part != b'..':
            path.append(part)
        elif path:
            path.pop()
        else:
            escapes = True
    return b'/'.join(path), escapes


def file_header(name: str, size: int) -> bytes:
    """The header of a plain file of ours, the same for the same content."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


class Source:
    """The untrusted bytes, taken in exact amounts and in small pieces."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks = iter(chunks)
        self._view = memoryview(b'')

    def _fill(self) -> bool:
        while not self._view:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._view = memoryview(chunk)
        return True

    def pieces(self, count: int, what: str) -> Iterator[memoryview]:
        """Exactly ``count`` bytes; ``what`` names them if they are short."""
        while count:
            if not self._fill():
                raise words.refusal(_('the archive ends in the middle of %s') %
                                    what)
            take = min(count, PIECE, len(self._view))
            yield self._view[:take]
            self._view = self._view[take:]
            count -= take

    def exactly(self, count: int, what: str) -> bytes:
        return b''.join(self.pieces(count, what))

    def block(self) -> bytes | None:
        """The next header block, or None at the end of the stream."""
        if not self._fill():
            return None
        if len(self._view) >= BLOCK:
            block = bytes(self._view[:BLOCK])
            self._view = self._view[BLOCK:]
            return block
        return self.exactly(BLOCK, _('a header'))

    def rest(self) -> Iterator[memoryview]:
        while self._fill():
            yield self._view[:PIECE]
            self._view = self._view[PIECE:]


def members(source: Source, max_members: int) -> Iterator[Header]:
    """Read an archive to its very end.

    Whoever iterates takes each member's ``data_size`` bytes from ``source``
    before the next. An archive without its end mark has been cut off.
    """
    extended = Extended()
    last = ''
    for _count in range(max_members):
        block = source.block()
        if block == ZERO_BLOCK:
            _check_end(source)
            return
        header = parse_header(block) if block else None
        if header is None:
            raise _no_header(bool(block), last)
        last = _('member %s') % words.shown(header.name)
        if header.kind in EXTENDED_KINDS:
            extended.add(header, _payload(source, header))
            continue
        yield extended.apply(header)
        source.exactly(header.padding, last)
    raise words.refusal(
        _('the archive has more than %d members') % max_members)


def _no_header(more_data: bool, last: str) -> words.ArchiveError:
    if not last:
        return words.refusal(
            _('it is no tar archive, nor one packed with gzip, zstd, xz or '
              'bzip2')
            if more_data else _('the archive is empty'))
    return words.refusal(
        (_('there is no valid tar header after %s') if more_data
         else _('the archive is cut off after %s')) % last)


def _payload(source: Source, header: Header) -> bytes:
    what = _('an extended header')
    if header.size > MAX_EXTENDED:
        raise words.refusal(_(
            'the archive has an extended header of %d bytes') % header.size)
    payload = source.exactly(header.size, what)
    source.exactly(header.padding, what)
    return payload


def _check_end(source: Source) -> None:
    if source.block() != ZERO_BLOCK:
        raise words.refusal(_('the archive is cut off at its end'))
    for piece in source.rest():
        if bytes(piece).strip(b'\0'):
            raise words.refusal(_('data follows the end of the archive'))


def blocks(pieces: Iterable[Data]) -> Iterator[bytes]:
    """Join pieces into blocks of at least PIECE bytes, the last excepted."""
    held: list[Data] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b''.join(held)
            held, size = [], 0
    if held:
        yield b''.join(held)
