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

"""What fails a boot for good, and what another host might not meet.

Nova tries another host after any error but a few, and in the end tells the
user only that there is none left. What the image, its properties, the
flavor, the ports or the files of a server bring about is met everywhere: the
boot is given up, and the reason becomes the server's fault.
"""

from collections.abc import Iterator
import contextlib
import errno
import os

from nova import exception as nova_exception
from nova.network import model as network_model
from nova import objects

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker import imagestore

# Nova itself gives up after others of its own, such as ImageUnacceptable. Of
# a port that cannot be plugged it tells the user only that networks failed.
# An InstanceNotFound amid a build would be taken for "deleted by the user",
# who would never see a fault.
_HOPELESS = (
    exception.InvalidSpec, exception.Conflict, exception.LoadError,
    imagestore.DamagedData, nova_exception.ImageNotFound,
    nova_exception.ImageNotAuthorized,
    nova_exception.VirtualInterfaceCreateException,
    nova_exception.InstanceNotFound)

# The engine answers 500 for what an image brings about as well as for a full
# disk, and tells them apart by the system's own words alone.
_TROUBLES_OF_THE_HOST = tuple(
    os.strerror(code).lower() for code in (
        errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE,
        errno.ENOMEM, errno.ENOSPC))

# Answers of Neutron, and codes of Nova's exceptions about ports, that speak
# of the request: wrong, forbidden, missing, taken, above the quota.
_ABOUT_THE_REQUEST = (400, 403, 404, 409, 413)


@contextlib.contextmanager
def give_up(instance: 'objects.Instance') -> Iterator[None]:
    """Abort the boot after what no host could do.

    :raises: BuildAbortException
    """
    try:
        yield
    except _HOPELESS as err:
        if _is_the_hosts(err):
            raise
        raise _abort(instance, err) from err


@contextlib.contextmanager
def blamed_on_the_server(instance: 'objects.Instance') -> Iterator[None]:
    """Abort after any refusal of an engine that has just proved healthy.

    For the calls that follow the start of the server's sandbox: what fails
    now fails because of the image's or the server's own settings, whatever
    status the engine gives it.

    :raises: BuildAbortException
    """
    try:
        yield
    except (exception.EngineUnavailable, exception.ImageNotFound):
        raise
    except exception.EngineError as err:
        if _is_the_hosts(err):
            raise
        raise _abort(instance, err) from err


def await_networks(instance: 'objects.Instance',
                   network_info: network_model.NetworkInfo) -> None:
    """Wait for Neutron's ports, which Nova asks for meanwhile.

    What went wrong there is raised when they are first looked at.

    :raises: BuildAbortException if Neutron refuses the request
    """
    try:
        len(network_info or ())
    except nova_exception.PortBindingFailed:
        raise
    except Exception as err:
        code = getattr(err, 'status_code', None) or getattr(err, 'code', None)
        if code not in _ABOUT_THE_REQUEST:
            raise
        raise _abort(instance, err) from err


def _is_the_hosts(err: Exception) -> bool:
    text = str(err).lower()
    return any(trouble in text for trouble in _TROUBLES_OF_THE_HOST)


def _abort(instance: 'objects.Instance',
           err: Exception) -> nova_exception.BuildAbortException:
    return nova_exception.BuildAbortException(
        instance_uuid=instance.uuid, reason=str(err))
