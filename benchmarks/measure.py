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

"""Stop watches, memory and the lines that a benchmark prints."""

from collections.abc import Callable
import contextlib
import dataclasses
import statistics
import threading
import time

import psutil


@dataclasses.dataclass(frozen=True)
class Line:
    """One measured figure, and whether it keeps its promise."""

    text: str
    missed: bool = False

    def __str__(self) -> str:
        return self.text + ('   MISSED' if self.missed else '')


def seconds(action: Callable) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turns(rounds: int, *actions: Callable[[], float]) -> list[float]:
    """Median of what each action returns; the first round warms up."""
    samples = [[action() for action in actions] for _ in range(rounds + 1)]
    return [statistics.median(column) for column in zip(*samples[1:])]


def at_most(what: str, ours_s: float, theirs_s: float, limit: float) -> Line:
    ratio = ours_s / theirs_s
    return Line('%-34s %7.3f s / %7.3f s = %5.2f   (at most %.2f)' % (
        what, ours_s, theirs_s, ratio, limit), ratio > limit)


def at_least(what: str, ours_s: float, theirs_s: float,
             limit: float) -> Line:
    """The ratio of speeds, which is that of times turned round."""
    ratio = theirs_s / ours_s
    return Line('%-34s %7.3f s / %7.3f s = %5.2f   (at least %.2f)' % (
        what, theirs_s, ours_s, ratio, limit), ratio < limit)


class PeakMemory:
    """Resident memory above what there was at the start, in MiB."""

    _INTERVAL_S = 0.005

    def __init__(self):
        self.mib = 0.0

    @contextlib.contextmanager
    def watched(self):
        process = psutil.Process()
        idle = process.memory_info().rss
        ended = threading.Event()

        def watch():
            while not ended.wait(self._INTERVAL_S):
                above = process.memory_info().rss - idle
                self.mib = max(self.mib, above / 2 ** 20)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def line(self, what: str, limit_mib: int) -> Line:
        return Line('%-34s %7.1f MiB above idle          (at most %d)' % (
            what, self.mib, limit_mib), self.mib > limit_mib)
