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

"""What can go wrong between the driver and its engine.

::

    EngineError
    +- EngineUnavailable      no connection, or no answer in time
    |  +- EngineForbidden     the socket or the certificate is refused
    +- EngineTooOld           API version below what the driver needs
    +- NotFound               404
    |  +- ImageNotFound
    +- Conflict               409: name taken, paused, not running
    +- InvalidSpec            400: the engine cannot run what was asked
    +- LoadError              an error inside a 200 answer of load or import

The client raises them by HTTP status, never by the text of a message. They
are NovaExceptions, so that whatever escapes the driver carries its message
to the API's fault. None is an InstanceNotFound: Nova takes that one, raised
while a server is built, for "the user deleted it" and records no fault.
"""

from nova import exception as nova_exception

from novadocker.i18n import _


class EngineError(nova_exception.NovaException):
    msg_fmt = _("Docker Engine failed: %(reason)s")


class EngineUnavailable(EngineError):
    msg_fmt = _("Docker Engine at %(url)s cannot be reached: %(reason)s")


class EngineForbidden(EngineUnavailable):
    msg_fmt = _("Docker Engine at %(url)s refuses nova-compute: %(reason)s")


class EngineTooOld(EngineError):
    msg_fmt = _("Docker Engine %(version)s at %(url)s speaks API "
                "%(api_version)s, but at least %(minimum)s is needed: "
                "install Docker Engine 20.10 or later")


class NotFound(EngineError):
    msg_fmt = _("Docker Engine has no such object: %(reason)s")


class ImageNotFound(NotFound):
    msg_fmt = _("Docker Engine has no such image: %(reason)s")


class Conflict(EngineError):
    msg_fmt = _("Docker Engine refuses in the present state: %(reason)s")


class InvalidSpec(EngineError):
    msg_fmt = _("Docker Engine cannot run the container: %(reason)s")


class LoadError(EngineError):
    msg_fmt = _("Docker Engine cannot load the image: %(reason)s")
