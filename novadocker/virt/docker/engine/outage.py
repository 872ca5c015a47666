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


"""Why an engine could not be reached, told from layers of libraries.

urllib3, ssl and the system each wrap the error of the one below.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import errno
import ssl

from urllib3 import exceptions as urllib3_exceptions

from novadocker.i18n import _
from novadocker.virt.docker.engine import exception

# What a call may raise when its connection fails; urllib3 wraps all others.
ERRORS = (urllib3_exceptions.HTTPError,)


def explain(url: str, err: Exception) -> exception.EngineUnavailable:
    """What an operator should read about a connection that failed."""
    if is_timeout(err):
        return exception.EngineUnavailable(
            url=url, reason=_('no answer in time'))
    cause = _os_error(err)
    # First, for an SSLError calls itself EPERM.
    if isinstance(cause, ssl.SSLError):
        return tls_failure(url, cause)
    code = cause.errno if cause is not None else None
    if code in (errno.EACCES, errno.EPERM):
        return exception.EngineForbidden(url=url, reason=_(
            'permission denied; add the user that runs nova-compute to the '
            'group that owns the socket'))
    if code in (errno.ENOENT, errno.ECONNREFUSED):
        return exception.EngineUnavailable(url=url, reason=_(
            'nothing listens there; start Docker Engine or correct '
            '[docker]host_url'))
    if code == errno.EAGAIN:
        return exception.EngineUnavailable(url=url, reason=_(
            'it hangs, and takes no more connections'))
    return exception.EngineUnavailable(url=url, reason=str(err))


def tls_failure(url: str, err: Exception) -> exception.EngineForbidden:
    return exception.EngineForbidden(url=url, reason=_(
        'TLS failed (%s); check [docker]ca_file, cert_file and key_file') %
        err)


def is_timeout(err: Exception) -> bool:
    """Whether the engine was silent for too long, at whatever moment."""
    return any(
        isinstance(cause, (TimeoutError, urllib3_exceptions.TimeoutError)) and
        # Calls itself a timeout, and is any failure to connect.
        not isinstance(cause, urllib3_exceptions.NewConnectionError)
        for cause in (err, *err.args))


def watched(chunks: Iterable[bytes],
            failed: list[Exception]) -> Iterator[bytes]:
    """Note what an iterable raises while it is being sent.

    An OSError, as glanceclient's are, comes back from urllib3 disguised as
    one of the connection.
    """
    try:
        yield from chunks
    except Exception as err:
        failed.append(err)
        raise


def _os_error(err: BaseException | None) -> OSError | None:
    """The system's own error below the layers of urllib3."""
    seen: set[int] = set()
    pending: list[object] = [err]
    while pending:
        cause = pending.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        pending += [*cause.args, cause.__cause__, cause.__context__]
    return None
