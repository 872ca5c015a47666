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


"""What may be inside a layer, checked while the layer streams by.

A layer's bytes are given to the engine unchanged, since their digest names
them. So whatever the engine must not meet when it unpacks them, or when it
starts a container on the result, has to be found here.
"""

import array
from collections.abc import Generator

from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

# The engine opens these inside the container's file system, from the host.
_OPENED_BY_ENGINE = (b'passwd', b'group')
_MOST_SPECIAL_FILES = 10_000
_LONGEST_CHAIN = 64
_MOST_PADDING = 1024 * 1024
# Names that would make a whiteout remove the directory it is in.
_BAD_WHITEOUTS = (b'.wh.', b'.wh..', b'.wh...')


class Budget:
    """What all layers of one archive may use up together."""

    def __init__(self, max_bytes: int, max_members: int):
        self._max_bytes = max_bytes
        self._max_members = max_members
        self._bytes = 0
        self._members = 0

    def spend_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._max_bytes:
            raise words.refusal(_(
                'the layers unpack to more than %d bytes, the disk of the '
                'flavor or the limit of this cloud') % self._max_bytes)

    def spend_member(self) -> None:
        self._members += 1
        if self._members > self._max_members:
            raise words.refusal(_(
                'the layers hold more than %d files') % self._max_members)


class SpecialFiles:
    """FIFOs and devices, and whether the engine could be led to open one.

    To run a container the engine opens /etc/passwd and /etc/group. A FIFO
    there blocks the engine's start, and then its removal, of the container;
    a device is opened with the rights of the host. Symbolic links, hard
    links and later layers can put one there under many names, but none of
    them changes the last part of a name without being a link itself. So the
    last parts of links and of their targets are enough to tell which special
    files can be reached: too many in theory, none too few. They are kept as
    hashes, 16 bytes a link.
    """

    def __init__(self):
        self._links = array.array('q')
        self._names: dict[int, str] = {}

    def add_link(self, name: bytes, target: bytes) -> None:
        """Remember a link; ``target`` is its path from the root."""
        if target:
            self._links.append(hash(_last(name)))
            self._links.append(hash(_last(target)))

    def add_special(self, name: bytes) -> None:
        if len(self._names) >= _MOST_SPECIAL_FILES:
            raise words.refusal(_(
                'the layers hold too many FIFOs and devices'))
        self._names[hash(_last(name))] = words.shown(name)

    def check(self) -> None:
        """Refuse an image whose user database is a special file."""
        if not self._names:
            return
        reached = self._reached()
        for key, name in self._names.items():
            if key in reached:
                raise words.refusal(_(
                    'member %s of a layer is a FIFO or a device where the '
                    'engine may open it as /etc/passwd or /etc/group') %
                    name)

    def _reached(self) -> set[int]:
        reached = {hash(name) for name in _OPENED_BY_ENGINE}
        for _pass in range(_LONGEST_CHAIN):
            before = len(reached)
            for index in range(0, len(self._links), 2):
                if self._links[index] in reached:
                    reached.add(self._links[index + 1])
            if before == len(reached):
                return reached
        raise words.refusal(_('the links of the layers form too long a '
                              'chain'))


class LayerScan:
    """Feed a layer's bytes; a member that must not be there is refused.

    The end-of-archive mark may be missing, as tools forget it and the
    layer's digest tells whether it is whole.
    """

    def __init__(self, what: str, budget: Budget, special: SpecialFiles):
        self._what = what
        self._budget = budget
        self._special = special
        self._view = memoryview(b'')
        self._partial = bytearray()
        self._between_members = True
        self._run = self._members()
        next(self._run)

    def feed(self, piece: bytes) -> None:
        self._budget.spend_bytes(len(piece))
        self._view = memoryview(piece)
        self._run.send(None)

    def finish(self) -> None:
        if self._partial or not self._between_members:
            raise self._refusal(_('it ends in the middle of a member'))

    def _members(self) -> Generator[None, None, None]:
        """Read member after member, yielding when more bytes are needed."""
        extended = tar.Extended()
        while True:
            self._between_members = not extended.pending
            block = yield from self._take(tar.BLOCK)
            if block == tar.ZERO_BLOCK:
                break
            self._between_members = False
            header = tar.parse_header(block)
            if header is None:
                raise self._refusal(_('it is no tar archive, or damaged'))
            self._budget.spend_member()
            if header.kind in tar.EXTENDED_KINDS:
                extended.add(header, (yield from self._payload(header)))
                continue
            self._check(extended.apply(header))
            yield from self._skip(header.data_size + header.padding)
        yield from self._end()

    def _payload(self, header) -> Generator[None, None, bytes]:
        if header.size > tar.MAX_EXTENDED:
            raise self._refusal(_('it has an extended header of %d bytes') %
                                header.size)
        payload = yield from self._take(header.size)
        yield from self._skip(header.padding)
        return payload

    def _take(self, count: int) -> Generator[None, None, bytes]:
        while len(self._partial) + len(self._view) < count:
            self._partial += self._view
            yield
        wanted = count - len(self._partial)
        taken = bytes(self._partial) + bytes(self._view[:wanted])
        self._view = self._view[wanted:]
        self._partial.clear()
        return taken

    def _skip(self, count: int) -> Generator[None, None, None]:
        while count > len(self._view):
            count -= len(self._view)
            yield
        self._view = self._view[count:]

    def _end(self) -> Generator[None, None, None]:
        """After a block of zeros: nothing but zeros, and not many."""
        padding = 0
        while True:
            if self._view.tobytes().strip(b'\0'):
                raise self._refusal(_('data follows its end-of-archive mark'))
            padding += len(self._view)
            if padding > _MOST_PADDING:
                raise self._refusal(_('too much padding follows its end'))
            yield

    def _check(self, header: tar.Header) -> None:
        name = header.name
        if b'..' in name and b'..' in name.split(b'/'):
            raise self._refusal(_('member %s leads out of its directory') %
                                words.shown(name))
        if b'.wh.' in name and _last(name) in _BAD_WHITEOUTS:
            raise self._refusal(_('the whiteout %s names no file') %
                                words.shown(name))
        if header.kind in (tar.FILE, tar.DIRECTORY):
            return
        if header.kind in tar.LINK_KINDS:
            self._check_link(header)
        elif header.kind in tar.SPECIAL_KINDS:
            self._special.add_special(name)
        else:
            raise self._refusal(_('member %(name)s is %(kind)s') % {
                'name': words.shown(name),
                'kind': tar.kind_name(header.kind)})

    def _check_link(self, header: tar.Header) -> None:
        symbolic = header.kind == tar.SYMLINK
        target, escapes = tar.resolve_link(
            header.name, header.link, symbolic)
        # Symbolic links are followed inside the container only, where
        # nothing is above the root.
        if escapes and not symbolic:
            raise self._refusal(_('the hard link %(name)s to %(target)s '
                                  'leads out of the image') % {
                'name': words.shown(header.name),
                'target': words.shown(header.link)})
        self._special.add_link(header.name, target)

    def _refusal(self, reason: str):
        return words.refusal(_('%(layer)s: %(reason)s') % {
            'layer': self._what, 'reason': reason})


def _last(name: bytes) -> bytes:
    """The last part of a member's name, as the engine reads it."""
    return (tar.components(name) or [b''])[-1]
