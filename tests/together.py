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


"""Many callers at once."""

from collections.abc import Callable
from collections.abc import Sequence
import concurrent.futures
import threading
import time
from typing import Any


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
