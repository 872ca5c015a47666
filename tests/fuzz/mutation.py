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

"""Changes to an image archive that keep it worth reading.

A flipped bit ends at the first checksum. So what is changed here is mended
as an attacker would mend it: sizes and sums of headers, at any depth, and
digests wherever they are named. Digests have one length, so that replacing
them leaves everything in its place.
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import gzip
import hashlib
import io
import random
import zlib

try:
    from compression import zstd
except ImportError:  # Python < 3.14
    from backports import zstd

BLOCK = 512
# From a layer to the config, the manifest and two indexes.
_DEPTH = 5
_PLAIN_ODDS = 0.15
_MOST_EXPANDED = 4 << 20

Mutate = Callable[[bytes, int], bytes]


@dataclasses.dataclass
class Member:
    header: bytes
    data: bytes


def parse(archive: bytes) -> tuple[list[Member], bytes]:
    """The members of a tar archive as far as they make sense, and the rest.
    """
    members = []
    position = 0
    while archive[position + 257:position + 262] == b'ustar':
        header = archive[position:position + BLOCK]
        try:
            size = int(header[124:136].strip(b' \0') or b'0', 8)
        except ValueError:
            break
        start = position + BLOCK
        if size < 0 or start + size > len(archive):
            break
        members.append(Member(header, archive[start:start + size]))
        position = start + size + -size % BLOCK
    return members, archive[position:]


def joined(members: list[Member], rest: bytes) -> bytes:
    return b''.join(
        _sized(member.header, len(member.data)) + member.data +
        bytes(-len(member.data) % BLOCK) for member in members) + rest


def _sized(header: bytes, size: int) -> bytes:
    """With another size, unless the size was what has been changed."""
    if header[124:136].strip(b' \0').isdigit():
        header = header[:124] + b'%011o\0' % size + header[136:]
    return _summed(header)


def _summed(header: bytes) -> bytes:
    blank = header[:148] + b' ' * 8 + header[156:]
    return blank[:148] + b'%06o\0 ' % sum(blank) + blank[156:]


def _mended(layer: bytes) -> bytes:
    """A layer whose headers have the sums that they should have."""
    return b''.join(
        _summed(block) if block[257:262] == b'ustar' else block
        for block in (layer[start:start + BLOCK]
                      for start in range(0, len(layer), BLOCK)))


def _hexes(data: bytes) -> Iterator[bytes]:
    """The digests by which a member may be known."""
    yield hashlib.sha256(data).hexdigest().encode()
    _kind, plain = _unpacked(data)
    if plain is not data:
        yield hashlib.sha256(plain).hexdigest().encode()


def _unpacked(data: bytes) -> tuple[str, bytes]:
    try:
        if data.startswith(b'\x1f\x8b'):
            with gzip.open(io.BytesIO(data)) as packed:
                return 'gzip', packed.read(_MOST_EXPANDED)
        if data.startswith(b'\x28\xb5\x2f\xfd'):
            return 'zstd', zstd.ZstdDecompressor().decompress(
                data, _MOST_EXPANDED)
    except (OSError, EOFError, zlib.error, zstd.ZstdError):
        pass
    return '', data


def _packed(kind: str, data: bytes) -> bytes:
    if kind == 'gzip':
        return gzip.compress(data, 1, mtime=0)
    return zstd.compress(data, 1) if kind else data


class Mutator:
    """What libFuzzer calls in place of its own mutation."""

    def __init__(self, mutate: Mutate):
        self._mutate = mutate

    def __call__(self, archive: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        members, rest = parse(archive)
        if not members or chance.random() < _PLAIN_ODDS:
            return bytes(self._mutate(archive, max_size))
        change = chance.choice((self._bytes, self._bytes, self._header,
                                self._inside, self._inside, self._order))
        names = change(members, chance)
        _rename(members, names)
        return joined(members, rest)[:max_size]

    def _changed(self, data: bytes, room: int = 64) -> bytes:
        return bytes(self._mutate(data, len(data) + room))

    def _bytes(self, members, chance) -> dict[bytes, bytes]:
        """The data of one member, mostly as it is when unpacked."""
        member = chance.choice(members)
        kind, plain = _unpacked(member.data)
        if chance.random() < _PLAIN_ODDS:
            return _replace(member, self._changed(member.data))
        return _replace(member, _packed(kind, self._changed(plain)))

    def _header(self, members, chance) -> dict[bytes, bytes]:
        member = chance.choice(members)
        member.header = self._changed(member.header, 0).ljust(
            BLOCK, b'\0')[:BLOCK]
        return {}

    def _inside(self, members, chance) -> dict[bytes, bytes]:
        """A header or some data within a layer, packed or not."""
        member = max(chance.sample(members, min(3, len(members))),
                     key=lambda one: len(one.data))
        kind, plain = _unpacked(member.data)
        inner, rest = parse(plain)
        if not inner:
            return self._bytes(members, chance)
        chance.choice((self._header, self._header, self._bytes,
                       self._order))(inner, chance)
        return _replace(member, _packed(kind, _mended(joined(inner, rest))))

    def _order(self, members, chance) -> dict[bytes, bytes]:
        """Drop, double or move a member."""
        place = chance.randrange(len(members))
        action = chance.randrange(3)
        taken = members[place] if action == 1 else members.pop(place)
        if action:
            members.insert(chance.randrange(len(members) + 1),
                           dataclasses.replace(taken))
        return {}


def _replace(member: Member, data: bytes) -> dict[bytes, bytes]:
    """Give a member new data; what its digests become."""
    names = dict(zip(_hexes(member.data), _hexes(data)))
    member.data = data
    return names


def _rename(members: list[Member], names: dict[bytes, bytes]) -> None:
    """Say the new digests where the old ones were said, up the chain."""
    for _level in range(_DEPTH):
        further: dict[bytes, bytes] = {}
        for member in members:
            member.header = _substituted(member.header, names)
            data = _substituted(member.data, names)
            if data != member.data:
                further.update(_replace(member, data))
        if not further:
            return
        names = further


def _substituted(text: bytes, names: dict[bytes, bytes]) -> bytes:
    for old, new in names.items():
        text = text.replace(old, new)
    return text
