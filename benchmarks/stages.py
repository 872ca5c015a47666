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

"""Where the time of a load goes: the profile behind its ratio.

Each stage is measured without the engine, alone and with those before it;
then the engine is given the archive, once as it is and once through all
stages. Only until the engine has received everything does it work beside
us; what it does afterwards is the same for both.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import hashlib
import statistics
import time

from benchmarks import images
from benchmarks import measure
from benchmarks import servers
from novadocker import archive
from novadocker.virt.docker import imagestore


def stages(options):
    """Lines of wall and CPU seconds, the median of all rounds."""
    for mib in options.mib:
        with images.LargeImage(mib) as image:
            yield measure.Line('stages of %d MiB' % mib)
            work = _Stages(image)
            for name, stage in work.without_engine().items():
                yield _line(name, options.rounds, stage)
            for name, data in (('as it is', work.read),
                               ('through all stages', work.all)):
                yield from _sent(image, name, options.rounds, data)


class _Stages:
    """Ways to read the archive, each ending where the next one begins."""

    def __init__(self, image: images.LargeImage):
        self._image = image
        self._store = imagestore.ImageStore()
        self._record = self._store.get(servers.CONTEXT, image.image_id)

    def without_engine(self) -> dict[str, Callable[[], None]]:
        return {
            'read': lambda: _exhaust(self.read()),
            'read, sha512 in one thread': lambda: self._hash('sha512'),
            'read, sha256 in one thread': lambda: self._hash('sha256'),
            'read, Glance hash checked': lambda: _exhaust(self._checked()),
            'read, sanitised': lambda: _exhaust(self._sanitised(self.read())),
            'all stages': lambda: _exhaust(self.all()),
        }

    def read(self) -> Iterator[bytes]:
        return iter(self._store._plain(
            servers.CONTEXT, self._image.image_id, None))

    def all(self) -> Iterator[bytes]:
        return self._sanitised(self._checked())

    def _checked(self) -> Iterator[bytes]:
        return self._store.data(servers.CONTEXT, self._record, None)

    def _sanitised(self, data: Iterable[bytes]) -> Iterator[bytes]:
        return archive.sanitise(data, self._image.tag, archive.Limits(),
                                archive.Rules())

    def _hash(self, algorithm: str) -> None:
        digest = hashlib.new(algorithm)
        for block in self.read():
            digest.update(block)


def _exhaust(blocks: Iterable[bytes]) -> None:
    for _block in blocks:
        pass


def _line(name: str, rounds: int, stage: Callable[[], None]) -> measure.Line:
    wall_s, cpu_s = [], []
    for _round in range(rounds):
        cpu_before = time.process_time()
        wall_s.append(measure.seconds(stage))
        cpu_s.append(time.process_time() - cpu_before)
    return measure.Line('  %-32s %7.3f s, %7.3f s of CPU' % (
        name, statistics.median(wall_s), statistics.median(cpu_s)))


def _sent(image, name: str, rounds: int,
          data: Callable[[], Iterator[bytes]]) -> Iterator[measure.Line]:
    """How long the engine takes to receive, and to do its own work."""
    receiving_s, rest_s = [], []
    for _round in range(rounds):
        clock = _Clock(data())
        start = time.perf_counter()
        image.client.load(clock)
        rest_s.append(time.perf_counter() - clock.ended)
        receiving_s.append(clock.ended - start)
        image.forget()
    yield measure.Line('  engine, %-24s %7.3f s to receive, %7.3f s after' % (
        name, statistics.median(receiving_s), statistics.median(rest_s)))


class _Clock:
    """An iterator that remembers when it came to its end."""

    def __init__(self, blocks: Iterator[bytes]):
        self._blocks = blocks
        self.ended = 0.0

    def __iter__(self):
        yield from self._blocks
        self.ended = time.perf_counter()
