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

"""How requests reach Docker Engine, and how their failures are told.

urllib3 carries them: one pool of connections that many threads share, over a
unix socket, TCP or TLS. A stream has a connection of its own, so that it may
be cut, and be silent for longer than an answer.

No thread ever waits for another one's network: locks are held over
assignments only. An engine that is stopped or hung so fails every caller
within one timeout, whatever their number.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import json
import socket
import ssl
import threading
from typing import Any
import urllib.parse

from oslo_utils import versionutils
import urllib3
from urllib3 import connection as urllib3_connection

from novadocker.i18n import _
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import outage

# Docker Engine 20.10, the oldest that keeps cgroup namespaces apart.
MINIMUM_API_VERSION = '1.41'
# The newest dialect spoken where the engine still offers it. Later ones drop
# fields; an engine whose own minimum is higher gets that minimum.
PREFERRED_API_VERSION = '1.44'

_POOL_SIZE = 64
_BLOCK_BYTES = 64 * 1024
_SHORTEST_WAIT_S = 0.001
# How long an engine that was silent is waited for when it is tried again. A
# story that undoes its steps asks many times, and shall not take as many
# timeouts; one that is back answers at once.
_SECOND_CHANCE_S = 5
# The engine's answer to "start" and "stop" where nothing is to be done.
_NOT_MODIFIED = 304


@dataclasses.dataclass(frozen=True)
class Request:
    """What to ask of the engine.

    ``path`` comes without the API version. A mapping as ``body`` is sent as
    JSON, anything else as a tar. ``missing`` is what a 404 means.
    """

    method: str
    path: str
    query: Mapping[str, object] = dataclasses.field(default_factory=dict)
    body: Mapping[str, Any] | bytes | Iterable[bytes] | None = None
    missing: type[exception.NotFound] = exception.NotFound


class Connection:
    """One engine; every method may be called from any thread.

    :param timeout_s: longest silence before and amid an ordinary answer
    :param stream_timeout_s: the same of a stream; None waits for ever
    """

    def __init__(self, url: str, tls: model.Tls | None, timeout_s: float,
                 stream_timeout_s: float | None):
        self._url = url
        self._tls = tls
        self._timeout_s = timeout_s
        self._stream_timeout_s = stream_timeout_s
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._api_version: str | None = None
        self._was_silent = False

    def close(self) -> None:
        """Close what is idle; what is in use ends with its request."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._api_version = None
        if pool is not None:
            pool.close()

    def api_version(self) -> str:
        """The dialect both sides speak, agreed on at the first request.

        Threads that come at once each ask: none waits for another.
        """
        agreed = self._api_version
        if agreed is None:
            agreed = self._api_version = self._agree()
        return agreed

    def call(self, request: Request, longer_s: float = 0) -> Any:
        """The answer's JSON, None if it has none.

        :param longer_s: how long the engine may work on top of the timeout
        """
        with self.answer(request, longer_s) as answer:
            return answer.json()

    def answer(self, request: Request, longer_s: float = 0
               ) -> contextlib.AbstractContextManager['Answer']:
        """An answer over the shared connections, to be read in the block."""
        return self._exchange(request, self._timeout_s + longer_s)

    def stream(self, request: Request
               ) -> contextlib.AbstractContextManager['Answer']:
        """An answer over a connection of its own, which is cut at the end.

        For what may take minutes, before the first byte or between two.
        """
        return self._exchange(request, self._stream_timeout_s, own=True)

    def wait(self, request: Request
             ) -> contextlib.AbstractContextManager['Answer']:
        """An answer that begins at once and may be long in coming."""
        return self._exchange(request, self._timeout_s, own=True)

    @contextlib.contextmanager
    def _exchange(self, request: Request, timeout_s: float | None,
                  own: bool = False) -> Iterator['Answer']:
        path = '/v%s%s' % (self.api_version(), request.path)
        with self._explained(), self._pool_for(own) as pool:
            with self._sent(pool, request, path, timeout_s) as answer:
                if answer.refused:
                    raise self._refusal(answer, request.missing)
                yield answer

    def _agree(self) -> str:
        path = '/version'
        with self._explained(), self._pool_for(own=False) as pool:
            with self._sent(pool, Request('GET', path), path,
                            self._patience_s()) as answer:
                if answer.refused:
                    raise self._stranger(answer.message())
                offer = answer.json()
        self._was_silent = False
        try:
            return _agreed(self._url, offer['Version'], offer['ApiVersion'],
                           offer.get('MinAPIVersion'))
        except (KeyError, TypeError, ValueError) as err:
            raise self._stranger(_(
                'what answers there is no Docker Engine')) from err

    def _patience_s(self) -> float:
        return min(self._timeout_s,
                   _SECOND_CHANCE_S if self._was_silent else self._timeout_s)

    def _stranger(self, reason: str) -> exception.EngineUnavailable:
        return exception.EngineUnavailable(url=self._url, reason=reason)

    @contextlib.contextmanager
    def _sent(self, pool: urllib3.HTTPConnectionPool, request: Request,
              path: str, timeout_s: float | None) -> Iterator['Answer']:
        body, kind = _encoded(request.body)
        query = urllib.parse.urlencode(request.query, doseq=True)
        response = pool.urlopen(
            request.method, path + (query and '?' + query), body=body,
            headers={'Content-Type': kind} if kind else {},
            timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s),
            chunked=body is not None and not isinstance(body, bytes),
            retries=False, preload_content=False, decode_content=False)
        with contextlib.closing(response):
            yield Answer(self._url, response)

    def _refusal(self, answer: 'Answer', missing: type[exception.NotFound]
                 ) -> exception.EngineError:
        if answer.status == 400:
            # Such is also the answer to a dialect that is no longer spoken,
            # of an engine that was replaced between two calls.
            self._api_version = None
        kinds: dict[int, type[exception.EngineError]] = {
            400: exception.InvalidSpec,
            404: missing,
            409: exception.Conflict}
        kind = kinds.get(answer.status, exception.EngineError)
        return kind(reason=answer.message())

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except outage.ERRORS as err:
            # The engine may return as another.
            self._api_version = None
            self._was_silent = outage.is_timeout(err)
            raise outage.explain(self._url, err) from err

    @contextlib.contextmanager
    def _pool_for(self, own: bool) -> Iterator[urllib3.HTTPConnectionPool]:
        if own:
            with contextlib.closing(self._new_pool(1)) as pool:
                yield pool
        else:
            yield self._shared()

    def _shared(self) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = self._new_pool(_POOL_SIZE)
            return self._pool

    def _new_pool(self, size: int) -> urllib3.HTTPConnectionPool:
        """A pool without connections; no I/O but of certificates."""
        if self._url.startswith('unix://'):
            return _UnixPool('localhost', maxsize=size,
                             path=self._url.removeprefix('unix://'))
        host, port = self._address()
        if self._tls is None:
            return urllib3.HTTPConnectionPool(host, port, maxsize=size)
        try:
            context = _tls_context(self._tls)
        except OSError as err:
            raise outage.tls_failure(self._url, err) from err
        return urllib3.HTTPSConnectionPool(host, port, maxsize=size,
                                           ssl_context=context)

    def _address(self) -> tuple[str, int]:
        try:
            url = urllib.parse.urlsplit(self._url)
            host, port = url.hostname, url.port
        except ValueError:
            host, port = None, None
        if not host or not port or not self._url.startswith('tcp://'):
            raise self._stranger(_(
                '[docker]host_url is neither unix:///path nor '
                'tcp://address:port'))
        return host, port


class Answer:
    """What an engine says, while its connection is open."""

    def __init__(self, url: str, response: urllib3.BaseHTTPResponse):
        self._url = url
        self._response = response
        self.status = response.status
        self.refused = self.status >= 300 and self.status != _NOT_MODIFIED

    def json(self) -> Any:
        """:raises: EngineUnavailable, as an engine speaks JSON"""
        return self._parsed(self._response.data)

    def json_within(self, timeout_s: float) -> Any:
        """Like json; None if the engine says nothing for so long."""
        _limit_silence(self._response, max(timeout_s, _SHORTEST_WAIT_S))
        try:
            return self._parsed(self._response.read())
        except outage.ERRORS as err:
            if outage.is_timeout(err):
                return None
            raise

    def json_lines(self) -> Iterator[Any]:
        """One value a line, as the engine tells progress."""
        pending = b''
        for block in self.blocks():
            *lines, pending = (pending + block).split(b'\n')
            yield from (self._parsed(line) for line in lines if line.strip())
        if pending.strip():
            yield self._parsed(pending)

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes, until its proper end."""
        return self._response.stream(_BLOCK_BYTES)

    def message(self) -> str:
        """What the engine says went wrong."""
        text = self._response.data.decode(errors='replace').strip()
        try:
            return str(json.loads(text)['message'])
        except (KeyError, TypeError, ValueError):
            return text or self._response.reason or str(self.status)

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data) if data else None
        except ValueError as err:
            raise exception.EngineUnavailable(url=self._url, reason=_(
                'its answer is no JSON')) from err


class _UnixConnection(urllib3_connection.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, *arguments: Any, path: str, **options: Any):
        super().__init__(*arguments, **options)
        self._path = path

    def connect(self) -> None:
        connecting = socket.socket(socket.AF_UNIX)
        try:
            connecting.settimeout(self.timeout)
            connecting.connect(self._path)
        except BaseException:
            connecting.close()
            raise
        self.sock = connecting


class _UnixPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _UnixConnection


def _agreed(url: str, version: str, offered: str,
            minimum: str | None) -> str:
    if _version_key(offered) < _version_key(MINIMUM_API_VERSION):
        raise exception.EngineTooOld(
            version=version, url=url, api_version=offered,
            minimum=MINIMUM_API_VERSION)
    agreed = min(offered, PREFERRED_API_VERSION, key=_version_key)
    return max(agreed, minimum or agreed, key=_version_key)


def _version_key(version: str) -> tuple[int, ...]:
    key: tuple[int, ...] = versionutils.convert_version_to_tuple(version)
    return key


def _encoded(body: Mapping[str, Any] | bytes | Iterable[bytes] | None
             ) -> tuple[bytes | Iterable[bytes] | None, str]:
    if body is None:
        return None, ''
    if isinstance(body, Mapping):
        return json.dumps(body).encode(), 'application/json'
    return body, 'application/x-tar'


def _tls_context(tls: model.Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _limit_silence(response: urllib3.BaseHTTPResponse,
                   timeout_s: float) -> None:
    # None where the engine closes the connection after its answer.
    connected = getattr(response.connection, 'sock', None)
    if connected is not None:
        connected.settimeout(timeout_s)
