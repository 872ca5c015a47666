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

"""Undo written beside the step it undoes, and teardown that runs to its end.

``Rollback`` is for building up, ``each_step`` for tearing down. Neither is
contextlib.ExitStack: there, a failing callback replaces the error that
started the clean-up.
"""

from collections.abc import Callable
import contextlib

from nova import objects
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class Rollback:
    """Undo log of one story: run newest first, and only on failure.

    The error that ends the block always leaves it unchanged; an undo that
    fails is logged and the next one runs.
    """

    def __init__(self, instance: 'objects.Instance') -> None:
        self._instance = instance
        self._steps: list[tuple[str, Callable, tuple]] = []

    def push(self, what: str, undo: Callable, *args) -> None:
        """Remember that ``undo(*args)`` takes back the step just done."""
        self._steps.append((what, undo, args))

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, traceback):
        for what, undo, args in reversed(self._steps if exc_type else ()):
            try:
                undo(*args)
            except Exception:
                LOG.exception('Rollback step "%s" failed, continuing', what,
                              instance=self._instance)
        return False


@contextlib.contextmanager
def each_step(instance):
    """Run every step of a teardown, then raise the first error, if any.

    Yields ``step(what, action, *args)``. The steps have to be idempotent:
    "already gone" is success and must not raise.
    """
    errors: list[Exception] = []

    def step(what: str, action: Callable, *args) -> None:
        try:
            action(*args)
        except Exception as err:
            errors.append(err)
            # Only the first error is raised at the end, so each is logged
            # here, where the others stop.
            LOG.exception('Teardown step "%s" failed, continuing', what,
                          instance=instance)

    yield step
    if errors:
        raise errors[0]
