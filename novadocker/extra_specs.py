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

"""Flavor extra specs of the ``docker:`` namespace.

Nova's API loads this module through the entry point group
``nova.api.extra_spec_validators`` and refuses flavors with unknown keys or
values. Cells where the package is not installed on the API nodes accept
anything, so the driver parses each value again with ``boolean`` and
``integer``.
"""

from collections.abc import Mapping

from oslo_utils import strutils

from nova.api.validation.extra_specs import base
from nova import exception
from novadocker.i18n import _

PRIVILEGED = 'docker:privileged'
NET_RAW = 'docker:net_raw'
NO_NEW_PRIVILEGES = 'docker:no_new_privileges'
PIDS_LIMIT = 'docker:pids_limit'
NOFILE_LIMIT = 'docker:nofile_limit'
RUNTIME = 'docker:runtime'


def register() -> list[base.ExtraSpecValidator]:
    """Validators, as Nova's API wants them."""
    return [
        base.ExtraSpecValidator(
            name=PRIVILEGED,
            description='Run servers of this flavor as privileged '
                        'containers. Takes effect only on hosts whose '
                        'nova.conf says [docker]privileged = True.',
            value={'type': bool, 'description': 'Whether to.'}),
        base.ExtraSpecValidator(
            name=NET_RAW,
            description='Allow raw and packet sockets, as ping and tcpdump '
                        'use them.',
            value={'type': bool, 'description': 'Whether to.'}),
        base.ExtraSpecValidator(
            name=NO_NEW_PRIVILEGES,
            description='Keep processes from gaining privileges through '
                        'setuid programs such as sudo; the default.',
            value={'type': bool, 'description': 'Whether to.'}),
        base.ExtraSpecValidator(
            name=PIDS_LIMIT,
            description='Number of processes and threads of a server, in '
                        'place of [docker]pids_limit.',
            value={'type': int, 'min': 1,
                   'description': 'A number of processes.'}),
        base.ExtraSpecValidator(
            name=NOFILE_LIMIT,
            description='Number of files that a process may have open.',
            value={'type': int, 'min': 64,
                   'description': 'A number of file descriptors; the engine '
                                  'must be allowed as many.'}),
        base.ExtraSpecValidator(
            name=RUNTIME,
            description='Runtime of the engine, such as runsc or kata, that '
                        'isolates servers of this flavor.',
            value={'type': str, 'pattern': '[a-zA-Z0-9._-]+',
                   'description': 'Name of a runtime that the engine has.'}),
    ]


def boolean(specs: Mapping[str, str], key: str, default: bool) -> bool:
    """:raises: InvalidInput that names the key and its value"""
    try:
        return bool(strutils.bool_from_string(
            specs.get(key, default), strict=True))
    except ValueError:
        raise exception.InvalidInput(reason=_(
            'flavor extra spec %(key)s must be true or false, not '
            '"%(value)s"') % {'key': key, 'value': specs[key]})


def integer(specs: Mapping[str, str], key: str, default: int) -> int:
    """:raises: InvalidInput that names the key and its value"""
    try:
        value = int(specs.get(key, default))
    except ValueError:
        value = 0
    if value < 1:
        raise exception.InvalidInput(reason=_(
            'flavor extra spec %(key)s must be a positive number, not '
            '"%(value)s"') % {'key': key, 'value': specs[key]})
    return value
