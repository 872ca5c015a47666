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

"""Members of tar archives, as the writers of container tools write them.

Each writer has its own idea of what to do with what the old header cannot
hold. All have the same arguments, so that one file system can be written by
each of them.
"""

from collections.abc import Callable
from collections.abc import Mapping
import copy
import tarfile
import typing

Writer = Callable[..., bytes]

DIRECTORY = tarfile.DIRTYPE
SYMLINK = tarfile.SYMTYPE
HARD_LINK = tarfile.LNKTYPE
CHARACTER = tarfile.CHRTYPE
DEVICE = tarfile.BLKTYPE
FIFO = tarfile.FIFOTYPE

END = bytes(1024)
BLOCK = 512
# What GNU tar and its imitators fill an archive up to.
RECORD = 20 * BLOCK
_MOST_ID = 0o7777777


def _info(name: str, size: int, kind: bytes, link: str, mode: int,
          mtime: float, owner: tuple[int, int],
          device: tuple[int, int]) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    info.linkname = link
    info.mode = mode
    info.mtime = mtime
    info.uid, info.gid = owner
    info.devmajor, info.devminor = device
    return info


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def pax_record(key: str, value: bytes) -> bytes:
    """``"<length> <key>=<value>\\n"``; the length counts its own digits."""
    rest = b' %s=%s\n' % (key.encode(), value)
    length = len(rest) + 1
    while len(b'%d' % length) + len(rest) != length:
        length += 1
    return b'%d' % length + rest


def extended(name: str, records: Mapping[str, bytes],
             kind: bytes = tarfile.XHDTYPE) -> bytes:
    """An extended header with these records, under this name of its own."""
    payload = b''.join(pax_record(*item) for item in records.items())
    info = tarfile.TarInfo(name[:100])
    info.type = kind
    info.size = len(payload)
    return info.tobuf(tarfile.USTAR_FORMAT, 'ascii', 'replace') + _filled(
        payload)


def _posix(info: tarfile.TarInfo, records: Mapping[str, bytes],
           header_name: str) -> bytes:
    """ustar, behind an extended header if it cannot hold everything."""
    try:
        plain = info.tobuf(tarfile.USTAR_FORMAT, 'ascii', 'strict')
        found: dict[str, bytes] = {}
    except ValueError:
        found, info = _moved_out(info)
        plain = info.tobuf(tarfile.USTAR_FORMAT, 'ascii', 'replace')
    found.update(records)
    return (extended(header_name, found) if found else b'') + plain


def _moved_out(info: tarfile.TarInfo) -> tuple[dict[str, bytes],
                                               tarfile.TarInfo]:
    """Records for what the old header cannot hold, and what is left."""
    records = {}
    info = copy.copy(info)
    for field, key in (('name', 'path'), ('linkname', 'linkpath')):
        value = getattr(info, field)
        if len(value) > 100 or not value.isascii():
            records[key] = value.encode()
            setattr(info, field, value[:100])
    for key in ('uid', 'gid'):
        if getattr(info, key) > _MOST_ID:
            records[key] = b'%d' % getattr(info, key)
            setattr(info, key, 0)
    if info.mtime < 0:
        records['mtime'] = b'%d' % info.mtime
        info.mtime = 0
    return records, info


def _writer(write: Callable[[tarfile.TarInfo, Mapping[str, bytes]],
                            bytes]) -> Writer:
    """A writer of whole members from one of headers."""
    def member(name: str, data: bytes = b'', kind: bytes = tarfile.REGTYPE,
               link: str = '', mode: int = 0o644, mtime: float = 0,
               owner: tuple[int, int] = (0, 0),
               device: tuple[int, int] = (0, 0),
               pax: Mapping[str, bytes] | None = None) -> bytes:
        info = _info(name, len(data), kind, link, mode, mtime, owner, device)
        return write(info, pax or {}) + _filled(data)
    return member


@_writer
def go(info, records):
    """Go: ustar where it does, pax where not (archive/tar/writer.go)."""
    return _posix(info, records, 'PaxHeaders.0/' + info.name)


@_writer
def gnu(info, records):
    """GNU tar: long names ahead, numbers in base 256; pax for attributes."""
    if records:
        return _posix(info, records, './PaxHeaders/' + info.name)
    return info.tobuf(tarfile.GNU_FORMAT)


@_writer
def python(info, records):
    """Python's tarfile, whose default is pax."""
    return _posix(info, records, '././@PaxHeader')


@_writer
def bsd(info, records):
    """bsdtar of macOS and Bazel: pax only where needed (libarchive)."""
    return _posix(info, records, 'PaxHeader/' + info.name)


@_writer
def java(info, records):
    """Commons Compress in POSIX mode (TarArchiveOutputStream)."""
    return _posix(info, records, './PaxHeaders.X/' + info.name)


@_writer
def star(info, records):
    """star of Schilling: a shorter prefix, then times, and a mark of its own.
    """
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[476:488] = block[488:500] = b'14000000000\0'
    block[508:512] = b'tar\0'
    return _summed(block)


@_writer
def old(info, records):
    """tar of Unix v7: nothing behind the name of the link."""
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[257:] = bytes(255)
    if info.type == tarfile.REGTYPE:
        block[156] = 0
    return _summed(block)


def _summed(block: bytearray) -> bytes:
    block[148:156] = b' ' * 8
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block)


def no_slash(write: Writer) -> Writer:
    """Directories without a slash behind their names, as apko has them."""
    def member(name: str, *data: bytes, **fields: typing.Any) -> bytes:
        written = write(name, *data, **fields)
        if fields.get('kind') != DIRECTORY:
            return written
        block = bytearray(written)
        block[len(name.encode().rstrip(b'/')):100] = bytes(
            100 - len(name.encode().rstrip(b'/')))
        return _summed(block)
    return member


def archive(*members: bytes, blocking: int = BLOCK) -> bytes:
    """Members and the end; filled up to whole records if asked for."""
    joined = b''.join(members) + END
    return joined + bytes(-len(joined) % blocking)
