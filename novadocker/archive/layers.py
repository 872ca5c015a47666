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

from collections.abc import Generator
import re

from novadocker.archive import seen
from novadocker.archive import tar
from novadocker.archive import userfiles
from novadocker.archive import words
from novadocker.i18n import _

_MOST_PADDING = 1024 * 1024
_MOST_OPAQUE = 4096
_OPAQUE = b'.wh..wh..opq'
# Names that would make a whiteout remove the directory it is in.
_BAD_WHITEOUTS = (b'.wh.', b'.wh..', b'.wh...')
# What the runtime mounts on before it enters the container's root. Links
# elsewhere are followed within the root.
_MOUNT_POINTS = (b'dev', b'proc', b'sys')
# Names that are no plain paths, and some that are.
_ODD_SPELLING = re.compile(rb'^[./]|/[/.]|/\Z')


class Budget:
    """What all layers of one archive may use up together."""

    def __init__(self, max_bytes: int, max_members: int):
        self._max_bytes = max_bytes
        self._max_members = max_members
        self._bytes = 0
        self._members = 0
        self._opaque = 0

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

    def spend_opaque(self) -> None:
        """For each of them an engine may walk through a whole directory."""
        self._opaque += 1
        if self._opaque > _MOST_OPAQUE:
            raise words.refusal(_(
                'the layers hold more than %d opaque whiteouts') %
                _MOST_OPAQUE)


class LayerScan:
    """Feed a layer's bytes; a member that must not be there is refused.

    The end-of-archive mark may be missing, as tools forget it and the
    layer's digest tells whether it is whole.
    """

    def __init__(self, what: str, budget: Budget,
                 user_files: userfiles.UserFiles):
        self._what = what
        self._budget = budget
        self._user_files = user_files
        self._names = seen.Seen()
        self._links = seen.Seen()
        # A link was made by way of another, so that names tell nothing.
        self._tangled = False
        self._view = memoryview(b'')
        self._partial = bytearray()
        self._between_members = True
        self._run = self._members()
        next(self._run)

    def feed(self, piece: tar.Data) -> None:
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
                if header.kind == tar.PAX_GLOBAL:
                    self._check_new(header.name)
                continue
            self._check(extended.apply(header))
            yield from self._skip(header.data_size + header.padding)
        yield from self._end()

    def _payload(self, header: tar.Header) -> Generator[None, None, bytes]:
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
        path = self._check_new(name)
        if b'.wh.' in name:
            self._check_whiteout(path)
        if header.kind == tar.FILE:
            if header.size > userfiles.LARGEST:
                self._user_files.add_large(name)
        elif header.kind in tar.LINK_KINDS:
            self._check_link(header, path)
        elif header.kind in tar.SPECIAL_KINDS:
            self._user_files.add_special(name)
        elif header.kind != tar.DIRECTORY:
            raise self._refusal(_('member %(name)s is %(kind)s') % {
                'name': words.shown(name),
                'kind': tar.kind_name(header.kind)})

    def _check_new(self, name: bytes) -> bytes:
        """The plain path; engines take each of a layer's only once.

        To them a name with a slash in front is another.
        """
        path = _plain(name)
        if not self._names.add(b'/' + path if name[:1] == b'/' else path):
            raise self._refusal(_('it has two members named %s') %
                                words.shown(path or b'.'))
        return path

    def _check_whiteout(self, path: bytes) -> None:
        last = path.rpartition(b'/')[2]
        if last in _BAD_WHITEOUTS:
            raise self._refusal(_('the whiteout %s names no file') %
                                words.shown(path))
        if last == _OPAQUE:
            self._budget.spend_opaque()
            self._check_not_below_link(path)

    def _check_link(self, header: tar.Header, path: bytes) -> None:
        symbolic = header.kind == tar.SYMLINK
        # Symbolic links are followed inside the container only, where
        # nothing is above the root.
        if not symbolic and tar.resolve_link(path, header.link, False)[1]:
            raise self._refusal(_('the hard link %(name)s to %(target)s '
                                  'leads out of the image') % {
                'name': words.shown(header.name),
                'target': words.shown(header.link)})
        if path.endswith(_MOUNT_POINTS):
            self._check_mount_point(path)
        self._tangled = (self._tangled or
                         self._link_above(path) is not None)
        self._user_files.add_link(header.name, header.link, symbolic,
                                  below_link=self._tangled)
        self._links.add(path)

    def _check_mount_point(self, path: bytes) -> None:
        if path in _MOUNT_POINTS:
            raise self._refusal(_(
                'member %s is a link, but must be a directory') %
                words.shown(path))
        if path.rpartition(b'/')[2] in _MOUNT_POINTS:
            self._check_not_below_link(path)

    def _check_not_below_link(self, path: bytes) -> None:
        """A link of this layer may make it a member of any directory."""
        if self._tangled or self._link_above(path) is not None:
            raise self._refusal(_(
                'member %s may be another one, by way of links in its layer')
                % words.shown(path))

    def _link_above(self, path: bytes) -> bytes | None:
        while path:
            path = path.rpartition(b'/')[0]
            if path in self._links:
                return path
        return None

    def _refusal(self, reason: str) -> words.ArchiveError:
        return words.refusal(_('%(layer)s: %(reason)s') % {
            'layer': self._what, 'reason': reason})


def _plain(name: bytes) -> bytes:
    """A member's path from the root, spelled in one way."""
    if _ODD_SPELLING.search(name):
        return b'/'.join(tar.components(name))
    return name
