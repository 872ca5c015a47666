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


"""The four commands."""

import argparse
import os
import pathlib
import sys

from quickstart import down
from quickstart import problem
from quickstart import report
from quickstart import settings as settings_
from quickstart import tempest
from quickstart import up


def main(command, arguments) -> int:
    """Run a command; a problem is told in three lines, not as a trace."""
    options = _parser(command).parse_args(arguments)
    settings = settings_.Settings(
        pathlib.Path(options.data_dir).absolute(),
        dev=getattr(options, 'dev', False),
        with_heat=getattr(options, 'with_heat', False))
    try:
        return _COMMANDS[command](settings, options)
    except problem.Problem as exc:
        _tell(exc)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted; run it again to continue.', file=sys.stderr)
        return 130


def _parser(command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=command, description=_HELP[command])
    parser.add_argument(
        '--data-dir', default=os.environ.get(
            'NOVADOCKER_QUICKSTART_DIR', settings_.DEFAULT_DIRECTORY),
        help='where everything is kept (default: %(default)s)')
    if command == 'up':
        parser.add_argument(
            '--dev', action='store_true',
            help='install the driver in editable mode')
        parser.add_argument(
            '--with-heat', action='store_true',
            help='add Heat and a first stack; the cloud has them from then on')
    if command == 'down':
        parser.add_argument(
            '--keep', action='store_true',
            help='keep data and stopped servers for the next "up"')
    if command == 'tempest':
        parser.add_argument(
            'regex', nargs='?', help='the tests to run (default: %s)' %
            settings_.TEMPEST_REGEX)
    return parser


def _tell(exc) -> None:
    print('\nERROR   %s' % exc.what, file=sys.stderr)
    if exc.log:
        print('log     %s' % exc.log, file=sys.stderr)
    if exc.remedy:
        print('remedy  %s' % exc.remedy, file=sys.stderr)


def _up(settings, options) -> int:
    up.run(settings)
    return 0


def _down(settings, options) -> int:
    down.run(settings, options.keep)
    return 0


def _status(settings, options) -> int:
    return report.run(settings)


def _tempest(settings, options) -> int:
    return tempest.run(settings, options.regex or settings_.TEMPEST_REGEX)


_COMMANDS = {'up': _up, 'down': _down, 'status': _status,
             'tempest': _tempest}
_HELP = {
    'up': 'Bring up OpenStack on this machine, its servers being containers.',
    'down': 'Stop and remove everything that "up" made.',
    'status': 'Show services, servers and containers side by side.',
    'tempest': 'Run Tempest against the cloud.',
}
