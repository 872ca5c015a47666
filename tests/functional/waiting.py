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


"""Waiting for the world to catch up."""

from collections.abc import Callable
import time


def until(condition: Callable[[], object], what: str,
          timeout_s: float = 20) -> None:
    """Return as soon as the condition holds.

    :raises: AssertionError naming what was waited for
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError('not within %d s: %s' % (timeout_s, what))
        time.sleep(0.02)
