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

"""The seccomp profile of servers: ours, the operator's, or the engine's.

Ours is generated, see ``tools/seccomp``: the engine's default, with ordinary
families of sockets only. The engine resolves its conditions on capabilities,
machine and kernel.
"""

import functools
import json
import os

from nova import exception
from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker.engine import model

CONF = conf.CONF

ENGINES_OWN = 'engine'
OURS = os.path.join(os.path.dirname(__file__), 'seccomp.json')


def profile(engine: model.EngineInfo) -> str | None:
    """The profile as JSON; None leaves it to the engine.

    An engine built or booted without seccomp refuses any.

    :raises: InvalidConfiguration for an operator's file that is none
    """
    wanted = CONF.docker.seccomp_profile
    if wanted == ENGINES_OWN or not engine.has_seccomp:
        return None
    return _read(wanted or OURS)


@functools.lru_cache
def _read(path: str) -> str:
    """Once: what a server may do does not change while the service runs."""
    try:
        with open(path) as text:
            return json.dumps(json.load(text), separators=(',', ':'))
    except (OSError, ValueError) as err:
        raise exception.InvalidConfiguration(_(
            '[docker]seccomp_profile: %(path)s is no seccomp profile in '
            'JSON: %(error)s') % {'path': path, 'error': err}) from err
