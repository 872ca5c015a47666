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

"""What can go wrong with a container of a stack.

::

    ContainerError
    +- Refused              the operator does not allow it
    +- ContainerFailed      its process ended, or its health check fails
    +- PullFailed           no image
    +- EngineError          the engine says no
       +- EngineUnavailable no connection, no answer in time, no SDK
       +- NotFound          404
       +- Conflict          409: name taken, removal in progress

The client chooses by HTTP status, never by the text of a message. None is
Heat's ResourceInError: Heat answers that one with five more attempts, which
is no use for a container that fails.
"""

from heat.common import exception
from heat.common.i18n import _


class ContainerError(exception.HeatException):
    msg_fmt = _('%(reason)s')


class Refused(ContainerError):
    pass


class ContainerFailed(ContainerError):
    pass


class PullFailed(ContainerError):
    msg_fmt = _('Docker Engine cannot pull image %(image)s: %(reason)s')


class EngineError(ContainerError):
    msg_fmt = _('Docker Engine failed: %(reason)s')


class EngineUnavailable(EngineError):
    msg_fmt = _('Docker Engine at %(url)s cannot be used: %(reason)s')


class NotFound(EngineError):
    msg_fmt = _('Docker Engine has no such object: %(reason)s')


class Conflict(EngineError):
    msg_fmt = _('Docker Engine refuses in the present state: %(reason)s')
