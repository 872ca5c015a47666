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


"""Named steps, each timed, each skipped when it is done already."""

from collections.abc import Callable
import dataclasses
import time

from quickstart import problem

_WIDTH = 52


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of what ``up`` prints.

    ``done`` may be left out of a step that looks for itself what is missing
    and is quick when nothing is.
    """

    name: str
    do: Callable
    remedy: str
    done: Callable | None = None


def run_all(settings, steps, out=print) -> None:
    """Do the steps in order.

    :raises: Problem, its remedy filled in from the step that failed.
    """
    started = time.monotonic()
    for number, step in enumerate(steps, 1):
        _run(settings, step, '%2d/%d' % (number, len(steps)), out)
    out('      %s %6.1f s' % ('in all'.ljust(_WIDTH, ' '),
                              time.monotonic() - started))


def _run(settings, step, position, out) -> None:
    started = time.monotonic()
    note = ''
    try:
        if step.done and step.done(settings):
            note = '  (was done)'
        else:
            note = '  (%s)' % (step.do(settings) or '')
    except problem.Problem as exc:
        out('%s %s FAILED' % (position, step.name.ljust(_WIDTH, '.')))
        exc.what = '%s: %s' % (step.name, exc.what)
        exc.remedy = exc.remedy or step.remedy
        raise
    out('%s %s %6.1f s%s' % (position, (step.name + ' ').ljust(_WIDTH, '.'),
                             time.monotonic() - started,
                             '' if note == '  ()' else note))
