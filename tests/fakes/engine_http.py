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


"""The fake engine's door: the Engine API over a unix socket or TCP.

What a client sends that no contract covers is answered 501 and fails the
test, as does an accident in the fake.
"""

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import fnmatch
import http.server
import json
import os
import re
import socket
import ssl
import struct
import threading
import traceback
import urllib.parse

import fixtures

from tests.fakes import engine
from tests.fakes import images
from tests.fakes import process

_BLOCK = 32 * 1024
# Go's server names the length of shorter answers only.
_CHUNKED_FROM = 2048


@dataclasses.dataclass
class Fault:
    """What goes wrong with the n-th request that matches."""

    method: str
    pattern: str
    nth: int
    strike: Callable
    after: bool = False


class Faults:
    """Breaks requests on demand; part of every FakeEngine.

    Patterns are those of ``fnmatch``, on the path without API version and
    query: ``/containers/*/start``. ``nth`` counts requests from now on. With
    ``after`` the engine does its work before the client hears otherwise.
    """

    def __init__(self):
        self._pending: list[Fault] = []
        self._lock = threading.Lock()
        self._released = threading.Event()

    def fail_next(self, method: str, pattern: str, status: int = 500,
                  message: str = 'injected', nth: int = 1,
                  after: bool = False) -> None:
        """Answer with an error."""
        def strike(_handler):
            raise images.Refusal(status, message)
        self._add(Fault(method, pattern, nth, strike, after))

    def drop_next(self, method: str, pattern: str, nth: int = 1,
                  after: bool = False) -> None:
        """Close the connection instead of an answer."""
        def strike(_handler):
            raise _Dropped
        self._add(Fault(method, pattern, nth, strike, after))

    def hang_next(self, method: str, pattern: str, nth: int = 1,
                  after: bool = False) -> None:
        """Say nothing until ``release`` or the end of the test."""
        def strike(_handler):
            self._released.wait()
            raise _Dropped
        self._add(Fault(method, pattern, nth, strike, after))

    def delay_next(self, method: str, pattern: str, seconds: float,
                   nth: int = 1) -> None:
        """Think a while, then answer as ever."""
        def strike(_handler):
            self._released.wait(seconds)
        self._add(Fault(method, pattern, nth, strike))

    def break_body_next(self, method: str, pattern: str, data: bytes = b'',
                        hang: bool = False, nth: int = 1) -> None:
        """Begin an answer, then close the connection, or hang first."""
        def strike(handler):
            handler.begin_chunks('application/octet-stream')
            handler.send_chunk(data)
            if hang:
                self._released.wait()
            raise _Dropped
        self._add(Fault(method, pattern, nth, strike))

    def release(self) -> None:
        """Let all that hangs, now or later, go on."""
        self._released.set()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of a request, if it is due."""
        with self._lock:
            for fault in self._pending:
                if fault.method == method and fnmatch.fnmatchcase(
                        path, fault.pattern):
                    fault.nth -= 1
                    if fault.nth == 0:
                        self._pending.remove(fault)
                        return fault
        return None

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(fault)


class FakeEngine(fixtures.Fixture):
    """An engine that listens, and a client that talks to it.

    :param tcp: listen on a port of 127.0.0.1, not on a unix socket
    :param tls: an ssl.SSLContext of a server, with ``tcp``
    :param client_arguments: further arguments of DockerClient

    ``url`` is where it listens, ``engine`` its state machine, ``client`` a
    DockerClient, ``calls`` the requests so far as (method, path) and
    ``queries`` what each had after the question mark. ``faults`` is passed
    on as ``fail_next``, ``drop_next``, ``hang_next``, ``delay_next``.

    A subclass for other clients may bring another ``engine_type``, further
    ``routes`` and its own ``connect``.
    """

    engine_type = engine.Engine
    routes: tuple[tuple[str, str, Callable], ...] = ()

    def __init__(self, tcp: bool = False, tls: ssl.SSLContext | None = None,
                 **client_arguments):
        super().__init__()
        self._tcp = tcp
        self.tls = tls
        self._client_arguments = client_arguments
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._connections: set[socket.socket] = set()
        self._left = threading.Condition()
        self.connections_made = 0

    def _setUp(self):
        self._directory = self.useFixture(fixtures.TempDir()).path
        self.engine = self.engine_type(self._directory)
        self.faults = Faults()
        self.calls: list[tuple[str, str]] = []
        self.queries: list[dict[str, list[str]]] = []
        self.surprises: list[str] = []
        self.url = ('tcp://127.0.0.1:0' if self._tcp else
                    'unix://%s/docker.sock' % self._directory)
        self.addCleanup(self._check_surprises)
        self.addCleanup(self._join)
        self.start()
        self.addCleanup(self.stop)
        self.connect()
        self.addCleanup(self.engine.close)
        self.addCleanup(self.faults.release)
        self.fail_next = self.faults.fail_next
        self.drop_next = self.faults.drop_next
        self.hang_next = self.faults.hang_next
        self.delay_next = self.faults.delay_next
        self.break_body_next = self.faults.break_body_next

    def connect(self) -> None:
        # Not above: it brings Nova along, whose options exclude Heat's.
        from novadocker.virt.docker.engine import client
        self.client = client.DockerClient(self.url, **self._client_arguments)
        self.addCleanup(self.client.close)

    def start(self) -> None:
        """Listen at ``url``, for the first time or again."""
        self._listener = self._bound()
        self._listener.listen(128)
        self._accepting = threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True,
            name='fake-engine')
        self._accepting.start()

    def stop(self, keep_socket: bool = False) -> None:
        """Die: cut every connection and listen no more; containers stay.

        :param keep_socket: leave the socket's file, as a killed engine does
        """
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        # Wakes the thread that accepts, whatever runs threads here.
        with socket.socket(listener.family) as wake:
            wake.connect(listener.getsockname())
        self._accepting.join()
        listener.close()
        with self._left:
            for connection in self._connections:
                _shut(connection)
        if not self._tcp and not keep_socket:
            os.unlink(self.url.removeprefix('unix://'))

    def wait_until_idle(self, connections: int = 0) -> None:
        """Return when no more connections than these are open."""
        with self._left:
            self._left.wait_for(
                lambda: len(self._connections) <= connections)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=5)

    def _check_surprises(self):
        if self.surprises:
            raise AssertionError('the fake engine was asked for what it does '
                                 'not know:\n' + '\n'.join(self.surprises))

    def _bound(self) -> socket.socket:
        if not self._tcp:
            path = self.url.removeprefix('unix://')
            if os.path.exists(path):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            return listener
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(('127.0.0.1', int(self.url.rpartition(':')[2])))
        self.url = 'tcp://127.0.0.1:%d' % listener.getsockname()[1]
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _address = listener.accept()
            if self._listener is not listener:
                connection.close()
                return
            with self._left:
                self._connections.add(connection)
                self.connections_made += 1
            serving = threading.Thread(
                target=self._serve, args=(connection,), daemon=True,
                name='fake-engine-connection')
            self._threads.append(serving)
            serving.start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection
        try:
            if self.tls:
                stream = self.tls.wrap_socket(connection, server_side=True)
                with self._left:
                    self._connections.discard(connection)
                    self._connections.add(stream)
            _Handler(stream, ('', 0), self)
        except OSError:
            # The client went away, or refused our certificate.
            pass
        finally:
            with self._left:
                self._connections -= {connection, stream}
                self._left.notify_all()
            _shut(stream)
            stream.close()
            connection.close()


class _Dropped(Exception):
    """The connection has to end without an answer."""


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # Gone already.
        pass


class _Body:
    """A request's body, of known length or in chunks, as a file."""

    def __init__(self, headers, source):
        self._source = source
        self._chunked = headers.get('Transfer-Encoding') == 'chunked'
        self._left = int(headers.get('Content-Length') or 0)
        self._ended = not self._chunked and not self._left

    def read(self, size: int = -1) -> bytes:
        parts = []
        while size and not self._ended:
            part = self._read_part(size)
            parts.append(part)
            size = size - len(part) if size > 0 else size
        return b''.join(parts)

    def _read_part(self, size: int) -> bytes:
        if self._chunked and not self._left:
            self._left = int(self._source.readline() or b'-1', 16)
        if self._left < 0:
            raise images.BrokenStream
        data = self._source.read(
            self._left if size < 0 else min(size, self._left))
        if self._left and not data:
            raise images.BrokenStream
        self._left -= len(data)
        if self._chunked and not self._left:
            self._ended = not data
            self._source.readline()
        else:
            self._ended = not self._chunked and not self._left
        return data


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = 'HTTP/1.1'

    def __init__(self, connection, address, server: FakeEngine):
        self._engine = server.engine
        super().__init__(connection, address, server)

    def log_message(self, *_args):
        """Say nothing; ``calls`` tells."""

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        url = urllib.parse.urlsplit(self.path)
        self._query = urllib.parse.parse_qs(url.query,
                                            keep_blank_values=True)
        version, path = re.fullmatch(
            r'(?:/v([\d.]+))?(/.*)', urllib.parse.unquote(url.path)).groups()
        self._body = _Body(self.headers, self.rfile)
        self._answered = False
        self.server.calls.append((self.command, path))
        self.server.queries.append(self._query)
        self._answer(version, path)

    def _answer(self, version: str | None, path: str) -> None:
        try:
            fault = self.server.faults.take(self.command, path)
            if fault and not fault.after:
                fault.strike(self)
            self._check_version(version)
            verb, arguments = self._route(path)
            if fault and fault.after:
                self._silenced(verb, arguments)
                fault.strike(self)
            verb(self, *arguments)
        except images.Refusal as refusal:
            self._drain()
            self.send_json({'message': refusal.message}, refusal.status)
        except (_Dropped, images.BrokenStream, BrokenPipeError,
                ConnectionResetError):
            self.close_connection = True
        except process.Unsupported as err:
            self._surprised(501, '%s %s: %s' % (self.command, self.path, err))
        except Exception:
            self._surprised(500, traceback.format_exc())

    def _silenced(self, verb, arguments) -> None:
        """Do the work of a request and keep the answer."""
        answer, self.wfile = self.wfile, open(os.devnull, 'wb')
        with self.wfile:
            verb(self, *arguments)
            self.flush_headers()
        self.wfile = answer

    def _surprised(self, status: int, what: str) -> None:
        self.server.surprises.append(what)
        self.close_connection = True
        if not self._answered:
            self.send_json({'message': what}, status)

    def _check_version(self, version: str | None) -> None:
        if version is None:
            return
        spoken = [_version(text) for text in (
            self._engine.min_api_version, version, self._engine.api_version)]
        if spoken != sorted(spoken):
            raise images.Refusal(
                400, 'client version %s is not supported: API versions '
                'are %s to %s' % (version, self._engine.min_api_version,
                                  self._engine.api_version))

    def _route(self, path: str):
        for method, pattern, verb in (*self.server.routes, *_ROUTES):
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return verb, match.groups()
        raise process.Unsupported('no such route')

    def _drain(self) -> None:
        while self._body.read(_BLOCK):
            pass

    # Answers

    def send_empty(self, status: int) -> None:
        self._answered = True
        self.send_response(status)
        if status == 200 or status == 201:
            self.send_header('Content-Length', '0')
        self.end_headers()

    def send_json(self, answer, status: int = 200) -> None:
        data = json.dumps(answer).encode() + b'\n'
        if len(data) >= _CHUNKED_FROM:
            self.send_chunks('application/json', [data], status)
            return
        self._answered = True
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    def send_chunks(self, content_type: str, chunks: Iterable[bytes],
                    status: int = 200) -> None:
        self.begin_chunks(content_type, status)
        for chunk in chunks:
            self.send_chunk(chunk)
        self.wfile.write(b'0\r\n\r\n')

    def begin_chunks(self, content_type: str, status: int = 200) -> None:
        self._answered = True
        self.send_response(status)
        self.send_header('Content-Type', content_type)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()

    def send_chunk(self, chunk: bytes) -> None:
        # An empty one would end the answer.
        if chunk:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(chunk), chunk))

    # What requests carry

    def _parameter(self, name: str, default: str = '') -> str:
        return self._query.get(name, [default])[0]

    def _flag(self, name: str) -> bool:
        return self._parameter(name).lower() in ('1', 'true')

    def _json_body(self) -> dict:
        return json.loads(self._body.read() or b'{}') or {}

    def _filters(self, known: str) -> list[str]:
        filters = json.loads(self._parameter('filters', '{}'))
        if set(filters) - {known}:
            raise process.Unsupported('filters %s' % filters)
        return filters.get(known, [])

    # The engine

    def ping(self):
        self._answered = True
        self.send_response(200)
        self.send_header('Api-Version', self._engine.api_version)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'OK')

    def version(self):
        self.send_json({'Version': self._engine.version,
                        'ApiVersion': self._engine.api_version,
                        'MinAPIVersion': self._engine.min_api_version})

    def info(self):
        self.send_json(self._engine.info())

    # Containers

    def list_containers(self):
        labels = self._filters('label')
        self.send_json(self._engine.rows(self._flag('all'), labels))

    def create(self):
        identity = self._engine.create(self._parameter('name'),
                                       self._json_body())
        self.send_json({'Id': identity, 'Warnings': []}, 201)

    def inspect(self, reference):
        self.send_json(
            self._engine.inspect_with_size(reference) if self._flag('size')
            else self._engine.inspect(reference))

    def start(self, reference):
        self._json_body()
        self.send_empty(204 if self._engine.start(reference) else 304)

    def stop(self, reference):
        stopped = self._engine.stop(reference,
                                    int(self._parameter('t', '10')))
        self.send_empty(204 if stopped else 304)

    def kill(self, reference):
        if self._parameter('signal', 'KILL') not in ('KILL', 'SIGKILL', '9'):
            raise process.Unsupported('signal')
        self._engine.kill(reference)
        self.send_empty(204)

    def pause(self, reference):
        self._engine.pause(reference)
        self.send_empty(204)

    def unpause(self, reference):
        self._engine.unpause(reference)
        self.send_empty(204)

    def rename(self, reference):
        self._engine.rename(reference, self._parameter('name'))
        self.send_empty(204)

    def remove(self, reference):
        self._engine.remove(reference, self._flag('force'))
        self.send_empty(204)

    def wait(self, reference):
        if self._query:
            raise process.Unsupported('condition')
        # The answer begins at once, its body comes with the exit.
        self._engine.inspect(reference)
        self.begin_chunks('application/json')
        code = self._engine.wait(reference)
        self.send_chunk(json.dumps({'Error': None,
                                    'StatusCode': code}).encode() + b'\n')
        self.wfile.write(b'0\r\n\r\n')

    def logs(self, reference):
        if not (self._flag('stdout') and self._flag('stderr')) or any(
                self._flag(name) for name in ('follow', 'timestamps')):
            raise process.Unsupported('logs')
        tail = self._parameter('tail', 'all')
        tty, entries = self._engine.logs(
            reference, None if tail == 'all' else int(tail))
        self.send_chunks('application/octet-stream', (
            data if tty else
            struct.pack('>BxxxL', stream, len(data)) + data
            for stream, data in entries))

    def check_path(self, reference):
        self._engine.check_path(reference, self._parameter('path'))
        self.send_empty(200)

    def put_archive(self, reference):
        self._engine.put_archive(reference, self._parameter('path'),
                                 self._body.read())
        self.send_empty(200)

    # Images

    def list_images(self):
        if '"label"' in self._parameter('filters', ''):
            self.send_json(self._engine.list_labelled_images(
                self._filters('label')))
            return
        pattern, = self._filters('reference')
        self.send_json(self._engine.list_images(pattern))

    def load(self):
        chunks = []
        try:
            for what in self._engine.store.load(self._body):
                chunks.append({'stream': 'Loaded %s\n' % what})
        except images.Refusal as refusal:
            chunks.append({'errorDetail': {'message': refusal.message},
                           'error': refusal.message})
        self.send_chunks('application/json', (
            json.dumps(chunk).encode() + b'\r\n' for chunk in chunks))

    def import_image(self):
        if self._parameter('fromSrc') != '-':
            raise process.Unsupported('image pull')
        image = self._engine.store.import_tar(
            self._body, self._parameter('repo'), self._parameter('tag'),
            self._query.get('changes', ()))
        self.send_chunks('application/json', [
            json.dumps({'status': image.id}).encode() + b'\r\n'])

    def save(self, reference):
        with self._engine.store.save(reference) as archive:
            self.send_chunks('application/x-tar',
                             iter(lambda: archive.read(_BLOCK), b''))

    def inspect_image(self, reference):
        self.send_json(self._engine.inspect_image(reference))

    def remove_image(self, reference):
        if self._flag('force'):
            raise process.Unsupported('force')
        self.send_json(self._engine.remove_image(reference))

    def commit(self):
        if self._query.get('changes'):
            raise process.Unsupported('changes')
        self.send_json({'Id': self._engine.commit(
            self._parameter('container'), self._json_body())}, 201)


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split('.')]


_C = '/containers/([^/]+)'
_I = '/images/(.+)'
_ROUTES = (
    ('GET', '/_ping', _Handler.ping),
    ('GET', '/version', _Handler.version),
    ('GET', '/info', _Handler.info),
    ('GET', '/containers/json', _Handler.list_containers),
    ('POST', '/containers/create', _Handler.create),
    ('GET', _C + '/json', _Handler.inspect),
    ('POST', _C + '/start', _Handler.start),
    ('POST', _C + '/stop', _Handler.stop),
    ('POST', _C + '/kill', _Handler.kill),
    ('POST', _C + '/pause', _Handler.pause),
    ('POST', _C + '/unpause', _Handler.unpause),
    ('POST', _C + '/rename', _Handler.rename),
    ('POST', _C + '/wait', _Handler.wait),
    ('GET', _C + '/logs', _Handler.logs),
    ('HEAD', _C + '/archive', _Handler.check_path),
    ('PUT', _C + '/archive', _Handler.put_archive),
    ('DELETE', _C, _Handler.remove),
    ('GET', '/images/json', _Handler.list_images),
    ('POST', '/images/load', _Handler.load),
    ('POST', '/images/create', _Handler.import_image),
    ('GET', _I + '/json', _Handler.inspect_image),
    ('GET', _I + '/get', _Handler.save),
    ('DELETE', _I, _Handler.remove_image),
    ('POST', '/commit', _Handler.commit),
)
