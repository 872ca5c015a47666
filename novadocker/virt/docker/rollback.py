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

"""Undo written beside the step it undoes, and clean-up that never masks.

``Rollback`` is for building up, ``each_step`` for tearing down, and
``always_undo`` for what is needed only while a block runs. None of them is
contextlib.ExitStack: there, a failing callback replaces the error that
started the clean-up.

An undo is pushed before its step: a step whose answer is lost may have been
done. So every undo takes "there is nothing to undo" for success.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import types
import typing

from nova import objects
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

_Action = Callable[..., object]


class Rollback:
    """Undo log of one story: run newest first, and only on failure.

    The error that ends the block always leaves it unchanged; an undo that
    fails is logged and the next one runs.
    """

    def __init__(self, instance: 'objects.Instance | None'):
        self._instance = instance
        self._steps: list[tuple[str, _Action, tuple[object, ...]]] = []

    def push(self, what: str, undo: _Action, *args: object) -> None:
        """Remember that ``undo(*args)`` takes back the step to come."""
        self._steps.append((what, undo, args))

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None,
                 exc: BaseException | None,
                 traceback: types.TracebackType | None) -> None:
        for what, undo, args in reversed(self._steps if exc_type else ()):
            try:
                undo(*args)
            except Exception:
                LOG.exception('Rollback step "%s" failed, continuing', what,
                              instance=self._instance)


@contextlib.contextmanager
def each_step(instance: 'objects.Instance | None') -> Iterator[
        Callable[..., None]]:
    """Run every step of a teardown, then raise the first error, if any.

    Yields ``step(what, action, *args)``. The steps have to be idempotent:
    "already gone" is success and must not raise.
    """
    errors: list[Exception] = []

    def step(what: str, action: _Action, *args: object) -> None:
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


@contextlib.contextmanager
def always_undo(instance: 'objects.Instance | None', what: str,
                undo: _Action, *args: object) -> Iterator[None]:
    """Run ``undo(*args)`` when the block ends, whatever came of it.

    The outcome is the block's alone. An undo that fails is logged: it must
    neither hide the error of the block nor turn its success into a failure,
    for what it leaves behind is litter, while the success is a user's.
    """
    try:
        yield
    finally:
        try:
            undo(*args)
        except Exception:
            LOG.warning('Clean-up step "%s" failed, continuing', what,
                        exc_info=True, instance=instance)
