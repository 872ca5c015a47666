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

"""A process that is killed between two steps, or cut off from its engine."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading

import fixtures
import urllib3

from tests.fakes import kernel


class Killed(BaseException):
    """SIGKILL: no cleanup of the process takes any effect after it."""


class Crash(fixtures.Fixture):
    """Strikes at the n-th step that the code in a block takes.

    A step is a request to the engine or something done to the kernel; use
    it after FakeKernel. Being killed after a step is being killed before the
    next, so that one kind covers both.
    """

    def _setUp(self):
        self._lock = threading.Lock()
        self._end()
        self.useFixture(fixtures.MonkeyPatch(
            'urllib3.HTTPConnectionPool.urlopen',
            self._request(urllib3.HTTPConnectionPool.urlopen)))
        for module, verbs in kernel._VERBS.items():
            for verb in verbs:
                name = '%s.%s' % (module, verb)
                self.useFixture(fixtures.MonkeyPatch(
                    name, self._kernel_verb(_resolve(name))))

    @contextlib.contextmanager
    def killed_before(self, step: int) -> Iterator[None]:
        """The process ends; nothing that it still tries takes effect."""
        with self._striking(step, lose=False):
            try:
                yield
            except Killed:
                pass

    @contextlib.contextmanager
    def answer_lost(self, step: int) -> Iterator[None]:
        """The engine does what is asked; the process never hears of it."""
        with self._striking(step, lose=True):
            yield

    @contextlib.contextmanager
    def _striking(self, step: int, lose: bool) -> Iterator[None]:
        self.struck = self._dead = False
        self._left, self._lose = step, lose
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        self._left = 0
        self._lose = self._dead = False

    def _due(self) -> bool:
        with self._lock:
            if self._dead:
                raise Killed
            self._left -= 1
            if self._left:
                return False
            self.struck = True
            self._dead = not self._lose
            return True

    def _request(self, send: Callable) -> Callable:
        def step(*args, **kwargs):
            due = self._due()
            if due and not self._lose:
                raise Killed
            answer = send(*args, **kwargs)
            if due:
                answer.close()
                raise urllib3.exceptions.ProtocolError('answer lost')
            return answer
        return step

    def _kernel_verb(self, verb: Callable) -> Callable:
        def step(*args, **kwargs):
            if not self._lose and self._due():
                raise Killed
            return verb(*args, **kwargs)
        return step


def _resolve(name: str) -> Callable:
    module, _dot, verb = name.rpartition('.')
    return getattr(__import__(module, fromlist=[verb]), verb)
