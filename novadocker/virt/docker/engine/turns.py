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

"""Locks around calls to the engine, that do not add up its silences."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import threading
import time
from typing import Any
import weakref

from novadocker.virt.docker.engine import exception


class Turn:
    """A lock for work that asks the engine.

    An engine that hangs fails whoever holds the lock after a timeout. Those
    who waited meanwhile fail with it, for they waited for the same answer;
    each in turn would wait for one more timeout. Who comes later tries anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: _Loss | None = None

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """:raises: EngineUnavailable if it was lost during the wait"""
        came_at = time.monotonic()
        with self._lock:
            if self._lost is not None and self._lost.at >= came_at:
                raise self._lost.again()
            try:
                yield
            except exception.EngineUnavailable as err:
                self._lost = _Loss(time.monotonic(), type(err), err.kwargs)
                raise


@dataclasses.dataclass(frozen=True)
class _Loss:
    """Not the exception, which would keep all that its traceback names."""

    at: float
    kind: type[exception.EngineUnavailable]
    details: Mapping[str, Any]

    def again(self) -> exception.EngineUnavailable:
        return self.kind(**self.details)


class Turns:
    """A Turn for each name, as long as somebody wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: weakref.WeakValueDictionary[str, Turn] = (
            weakref.WeakValueDictionary())

    @contextlib.contextmanager
    def taken(self, name: str) -> Iterator[None]:
        """:raises: EngineUnavailable if it was lost during the wait"""
        with self._lock:
            turn = self._turns.setdefault(name, Turn())
        with turn.taken():
            yield
