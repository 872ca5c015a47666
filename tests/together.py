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


"""Many callers at once, of an engine that may not answer."""

from collections.abc import Callable
from collections.abc import Sequence
import concurrent.futures
import threading
import time
from typing import Any

from novadocker.virt.docker.engine import exception


def at_once(verbs: Sequence[Callable[[], Any]]) -> tuple[list[Any], float]:
    """What each of the verbs returned or raised, and how long all took."""
    together = threading.Barrier(len(verbs))

    def ask(verb):
        together.wait()
        try:
            return verb()
        except Exception as err:
            return err

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(verbs)) as pool:
        outcomes = list(pool.map(ask, verbs))
    return outcomes, time.monotonic() - started


class SilenceAssertions:
    """For a TestCase whose engine is silent.

    ``most_s`` is longer than one time-out on a machine that is busy, and
    shorter than what many callers would take one after another.
    """

    most_s: float

    def assertOutage(self, outcome):
        self.assertIsInstance(outcome, exception.EngineUnavailable)
        self.assertIn('no answer in time', str(outcome))

    def assertAllAtOnce(self, verbs):
        outcomes, took_s = at_once(verbs)
        for outcome in outcomes:
            self.assertOutage(outcome)
        self.assertLess(took_s, self.most_s)

    def assertServiceStartsAndStops(self, start, stop):
        """The one fails, the other does not, and neither waits for long."""
        outcomes, took_s = at_once([start, stop])
        self.assertOutage(outcomes[0])
        self.assertIsNone(outcomes[1])
        self.assertLess(took_s, self.most_s)
