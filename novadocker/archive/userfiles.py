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

"""Whether the engine could be led to open a file that harms it.

To run a container the engine opens /etc/passwd and /etc/group. A FIFO there
blocks the engine's start, and then its removal, of the container; a device
is opened with the rights of the host; a huge file is read into the engine's
memory. Symbolic links, hard links and later layers can put one there under
many names.
"""

import array

from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

# Of 20,000 users and more, which is beyond what any image has.
LARGEST = 1024 * 1024

_OPENED_BY_ENGINE = (b'passwd', b'group')
_DIRECTORY = b'etc'
_MOST_FILES = 50_000
_MOST_PASSES = 64
_MASK = 0xffffffff
# Stands for a directory that is not known.
_ANYWHERE = 0


class UserFiles:
    """Links and harmful files by the last two parts of their names.

    Nothing changes the last part of a file's name without being a link
    itself; and its directory has the name given here, or one that links lead
    to or from. So these two parts are enough to tell what can be reached:
    too much in theory, nothing too little. They are kept as hashes, 16 bytes
    a link.
    """

    def __init__(self) -> None:
        self._directories = array.array('I')
        self._names = array.array('I')
        self._target_directories = array.array('I')
        self._targets = array.array('I')
        self._harmful: dict[tuple[int, int], str] = {}
        # Some link may lead from any directory to any other.
        self._unclear = False
        self._passes = 0

    def add_link(self, name: bytes, link: bytes, symbolic: bool,
                 below_link: bool) -> None:
        """Remember a link.

        :param below_link: whether its own directory is by way of a link
        """
        parts = tar.components(name)
        directory, last = _last_two(parts)
        target = _target(parts[:-1] if symbolic else [], link, below_link)
        if target[-1:] == [b'..']:
            self._unclear = True
            return
        self._directories.append(directory)
        self._names.append(last)
        directory, last = _last_two(target)
        self._target_directories.append(
            _ANYWHERE if target[-2:-1] == [b'..'] else directory)
        self._targets.append(last)

    def add_special(self, name: bytes) -> None:
        self._add(name, _('is a FIFO or a device'))

    def add_large(self, name: bytes) -> None:
        self._add(name, _('is larger than %d bytes') % LARGEST)

    def _add(self, name: bytes, reason: str) -> None:
        if len(self._harmful) >= _MOST_FILES:
            raise words.refusal(_(
                'the layers hold too many FIFOs, devices and large files'))
        self._harmful[_last_two(tar.components(name))] = (
            '%s %s' % (words.shown(name), reason))

    def check(self) -> None:
        """Refuse an image whose user database is such a file."""
        if not self._harmful:
            return
        reached = self._reached()
        for (directory, last), described in self._harmful.items():
            if _is_within(directory, reached.get(last)):
                raise words.refusal(_(
                    'member %s, where the engine may open it as /etc/passwd '
                    'or /etc/group') % described)

    def _reached(self) -> dict[int, set[int]]:
        """Last part of a name -> last parts of its possible directories."""
        reached = {_hash(name): self._same_as(_hash(_DIRECTORY))
                   for name in _OPENED_BY_ENGINE}
        before = -1
        while before != (before := sum(map(len, reached.values()))):
            self._count_pass()
            for directory, name, target_directory, target in zip(
                    self._directories, self._names,
                    self._target_directories, self._targets):
                if (name in reached and
                        _is_within(directory, reached[name]) and
                        target_directory not in reached.get(target, ())):
                    reached[target] = (
                        reached.get(target, set()) |
                        self._same_as(target_directory))
        return reached

    def _same_as(self, directory: int) -> set[int]:
        """The names that a directory may have by way of links."""
        if self._unclear:
            return {_ANYWHERE}
        names = {directory}
        before = 0
        while directory != _ANYWHERE and before != len(names):
            before = len(names)
            self._count_pass()
            for name, target in zip(self._names, self._targets):
                if target in names or name in names:
                    names |= {name, target}
        return names

    def _count_pass(self) -> None:
        self._passes += 1
        if self._passes > _MOST_PASSES:
            raise words.refusal(_('the links of the layers form too long a '
                                  'chain'))


def _is_within(directory: int, names: set[int] | None) -> bool:
    return names is not None and (directory in names or _ANYWHERE in names)


def _hash(part: bytes) -> int:
    """Never ``_ANYWHERE``, as the hash of nothing, the root, would be."""
    return hash(part) & _MASK or 1


def _last_two(parts: list[bytes]) -> tuple[int, int]:
    directory, last = [b'', b'', *parts][-2:]
    return _hash(directory), _hash(last)


def _target(directory: list[bytes], link: bytes,
            below_link: bool) -> list[bytes]:
    """The path that a link leads to, behind ``..`` if its start is unknown.

    Where ``..`` leads is known unless a link is passed before.
    """
    path = [] if link.startswith(b'/') else list(directory)
    clear = not path or not below_link
    for step in tar.components(link):
        if step != b'..':
            path.append(step)
            clear = False
        elif clear:
            path = path[:-1]
        else:
            path = [b'..']
    return path
