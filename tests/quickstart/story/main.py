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


"""Run the checks one after the other and count."""

import argparse
import pathlib
import time
import traceback

from quickstart import heat
from quickstart import settings as settings_
from story import afterwards
from story import checks
from story import engines
from story import restarts
from story import stacks
from story import world


def main() -> int:
    options = _parser().parse_args()
    settings = settings_.Settings(pathlib.Path(options.directory), dev=True)
    with_engine = engines.may_restart(settings, options.restart_engine)
    results = []
    here = world.World(settings)
    if options.with_heat:
        results.append(_run(stacks.add_heat, here))
    with_heat = heat.wanted(settings)
    results.append(_run(restarts.up_after_a_kill, here))
    before = here.leftovers()
    try:
        for check in [*checks.ALL, *restarts.ALL]:
            results.append(_run(check, here))
        for check in stacks.ALL if with_heat else ():
            results.append(_run(check, here))
        for check in engines.ALL if with_engine else ():
            results.append(_run(check, here))
    finally:
        results.append(_run(afterwards.delete_everything, here))
    results.append(_run(afterwards.nothing_is_left, here, before))
    if not options.keep:
        results.append(_run(afterwards.down_leaves_nothing, here))
    if not with_heat:
        print('not run: stacks, in a cloud that was found without Heat '
              '(--with-heat)')
    if not with_engine:
        print('not run: restarts of the engine, which was found here '
              '(--restart-engine)')
    print('%d passed, %d failed' % (results.count(True),
                                    results.count(False)))
    return 0 if all(results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument('directory')
    parser.add_argument('--with-heat', action='store_true')
    parser.add_argument('--restart-engine', action='store_true')
    parser.add_argument('--keep', action='store_true')
    return parser


def _run(check, *arguments) -> bool:
    """One line per check; a failure is followed by its trace."""
    started = time.monotonic()
    try:
        check(*arguments)
    except Exception as exc:
        result, note = False, '  %s' % exc
        trace = traceback.format_exc()
    else:
        result, note, trace = True, '', ''
    name = check.__doc__.splitlines()[0].rstrip('.')
    print('%s  %-66s %6.1f s%s' % ('ok  ' if result else 'FAIL', name,
                                   time.monotonic() - started, note),
          flush=True)
    print(trace, end='', flush=True)
    return result


if __name__ == '__main__':
    raise SystemExit(main())
