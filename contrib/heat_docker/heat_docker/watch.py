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

"""The judge of a started container: up, not yet, or failed.

The rules, which ``doc/source/heat.rst`` tells the users:

1. A container is up when the engine shows the same start for the grace
   period, and, if the template has a health check, when that succeeds.
2. One that ended with exit code 0 has done its job and is complete too,
   unless the template shows that it was to stay: by a health check, a
   terminal, an open stdin or the restart policy ``always``.
3. Any other end is a failure.
4. One that its engine restarts gets five restarts to come up.
"""

from collections.abc import Callable
from collections.abc import Mapping
import time
from typing import Any

from heat.common.i18n import _

from heat_docker import exception
from heat_docker import properties as props

RESTARTS_TOLERATED = 5

# What an engine answers to an inspection, or its part "State".
_Json = Mapping[str, Any]


class Watch:
    """Looks at one container again and again.

    Time is measured here: the clock of the engine's host may be another.
    """

    def __init__(self, properties: props.Values, grace_s: float,
                 clock: Callable[[], float] = time.monotonic):
        self._stays = stays(properties)
        self._health = _has_health_check(properties)
        self._grace_s = grace_s
        self._clock = clock
        self._started_at = ''
        self._seen_at = 0.0

    def done(self, info: _Json) -> bool:
        """Whether the container is up, or has done its job.

        :param info: the engine's answer to an inspection
        :raises: ContainerFailed
        """
        state = info['State']
        if not state['Running']:
            return self._ended(state)
        if state['Restarting'] or not self._steady(state):
            _check_restarts(info)
            return False
        return self._healthy(state)

    def _steady(self, state: _Json) -> bool:
        if state['StartedAt'] != self._started_at:
            self._started_at = state['StartedAt']
            self._seen_at = self._clock()
        return self._clock() - self._seen_at >= self._grace_s

    def _ended(self, state: _Json) -> bool:
        if job_done(state) and not self._stays:
            return True
        raise ended(state)

    def _healthy(self, state: _Json) -> bool:
        if not self._health:
            return True
        check_health(state)
        return bool(state['Health']['Status'] == 'healthy')


def stays(properties: props.Values) -> bool:
    """Whether a template means its container to run on."""
    policy = properties[props.RESTART_POLICY] or {}
    return bool(_has_health_check(properties) or properties[props.TTY] or
                properties[props.OPEN_STDIN] or
                policy.get(props.POLICY_NAME) == 'always')


def job_done(state: _Json) -> bool:
    return bool(state['Status'] == 'exited' and state['ExitCode'] == 0)


def ended(state: _Json) -> exception.ContainerFailed:
    """The failure of a container that does not run."""
    # Heat translates later: its messages can be joined, but not added.
    reasons = [_('The container ended with exit code %d.')
               % state['ExitCode']]
    if state['OOMKilled']:
        reasons.append(_('It had used up its memory.'))
    if state['Error']:
        reasons.append(state['Error'])
    return exception.ContainerFailed(reason=' '.join(reasons))


def check_health(state: _Json) -> None:
    """:raises: ContainerFailed"""
    health = state.get('Health') or {}
    if health.get('Status') != 'unhealthy':
        return
    output = health['Log'][-1]['Output'].strip() if health['Log'] else ''
    raise exception.ContainerFailed(reason=_(
        'The health check of the container fails: %s') % output)


def _has_health_check(properties: props.Values) -> bool:
    wanted = properties[props.HEALTH_CHECK]
    return bool(wanted) and wanted[props.TEST] != ['NONE']


def _check_restarts(info: _Json) -> None:
    if info['RestartCount'] >= RESTARTS_TOLERATED:
        raise exception.ContainerFailed(reason=_(
            'The container ended %(count)d times in a row, the last time '
            'with exit code %(code)d.') % {
                'count': info['RestartCount'],
                'code': info['State']['ExitCode']})
