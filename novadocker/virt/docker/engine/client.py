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

"""The only door to Docker Engine.

Verbs of the Engine API, each a few lines, over one pool of connections that
many threads share. Engine JSON goes no further: ``wire`` turns answers into
the frozen dataclasses of ``model``; failures become the tree of
``exception``, chosen by HTTP status.

docker-py carries every request. Nothing here needs requests-unixsocket: the
one thing docker-py lacks, a single pool for a unix socket, is an adapter of
ten lines.

Calls wait at most the client's timeout for an answer. Streams (image load,
save and import) have connections and a silence limit of their own: an
engine may work for minutes on a large image without a word.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import threading

import docker
from docker import errors as docker_errors
from docker.transport import unixconn
from oslo_utils import versionutils
import requests

from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import outage
from novadocker.virt.docker.engine import wire

# Docker Engine 20.10, the oldest that keeps cgroup namespaces apart.
MINIMUM_API_VERSION = '1.41'
# The newest dialect spoken where the engine still offers it. Later ones drop
# fields; an engine whose own minimum is higher gets that minimum.
PREFERRED_API_VERSION = '1.44'

_POOL_SIZE = 64
_LOG_TAIL_LINES = 1000
_LOG_BLOCK_BYTES = 64 * 1024


class DockerClient:
    """One engine, usable from many threads.

    :param url: ``unix:///path`` or ``tcp://host:port``
    :param tls: keyword arguments of ``docker.tls.TLSConfig``, or None for
        a connection without TLS
    :param timeout_s: longest wait for the answer to an ordinary call
    :param stream_timeout_s: longest silence on a stream; None waits for ever

    The constructor does no I/O; the first call connects and agrees on an
    API version with the engine.
    """

    def __init__(self, url: str, tls: Mapping | None = None,
                 timeout_s: int = 60, stream_timeout_s: int | None = 600):
        self.url = url
        self._tls = dict(tls) if tls else None
        self._timeout_s = timeout_s
        self._stream_timeout_s = stream_timeout_s
        self._lock = threading.Lock()
        self._shared: docker.APIClient | None = None
        self._api_version = MINIMUM_API_VERSION

    # The engine itself

    def connect(self) -> None:
        """Agree on an API version; harmless to repeat.

        :raises: EngineUnavailable, EngineForbidden, EngineTooOld
        """
        self._api()

    def close(self) -> None:
        """Close pooled connections; the next call opens new ones."""
        with self._lock:
            if self._shared is not None:
                self._shared.close()
                self._shared = None

    def info(self) -> model.EngineInfo:
        """Engine API: GET /info"""
        with self._translated() as api:
            return wire.engine_info(api.info(), self._api_version)

    # Containers

    def create(self, spec: model.ContainerSpec) -> str:
        """Create a container, without starting it, and return its id.

        Engine API: POST /containers/create

        :raises: Conflict if the name is taken, ImageNotFound, InvalidSpec
        """
        with self._translated(missing=exception.ImageNotFound) as api:
            config = api.create_container_config(
                **wire.create_arguments(spec),
                host_config=api.create_host_config(**wire.host_config(spec)))
            answer = api.create_container_from_config(config, spec.name)
        return answer['Id']

    def recreate(self, container: str, name: str, image: str,
                 network_owner: str, labels: Mapping[str, str]) -> str:
        """Create a twin of a container: another image, name and sandbox.

        Its anonymous volumes go along: what is in them is in no image, and
        the engine keeps them when one of the two is removed.

        :param labels: added to the container's own
        :returns: the twin's id
        :raises: as create; NotFound for the container
        """
        with self._translated() as api:
            config = wire.twin(api.inspect_container(container), image,
                               network_owner, labels)
            return api.create_container_from_config(config, name)['Id']

    def start(self, container: str) -> None:
        """Start; a container that runs already is left as it is.

        A failure of the engine itself is met with a second attempt: now and
        then runc loses the process between making and starting it ("cannot
        start a stopped process"), and the container stays as it was.
        """
        try:
            self._start(container)
        except exception.EngineError as err:
            if type(err) is not exception.EngineError:
                raise
            self._start(container)

    def _start(self, container: str) -> None:
        with self._translated() as api:
            api.start(container)

    def stop(self, container: str, timeout_s: int) -> None:
        """Send the image's stop signal, wait, kill; idempotent."""
        with self._translated() as api:
            api.stop(container, timeout=timeout_s)

    def kill(self, container: str) -> None:
        """Kill at once.

        :raises: Conflict if it does not run
        """
        with self._translated() as api:
            api.kill(container)

    def pause(self, container: str) -> None:
        """:raises: Conflict if it does not run or is paused already"""
        with self._translated() as api:
            api.pause(container)

    def unpause(self, container: str) -> None:
        """:raises: EngineError if it is not paused"""
        with self._translated() as api:
            api.unpause(container)

    def rename(self, container: str, name: str) -> None:
        """:raises: Conflict if the name is taken"""
        with self._translated() as api:
            api.rename(container, name)

    def remove(self, container: str) -> None:
        """Kill if need be and remove, with its anonymous volumes.

        :raises: NotFound; Conflict while another removal is in progress
        """
        with self._translated() as api:
            api.remove_container(container, v=True, force=True)

    def wait(self, container: str, timeout_s: float) -> int | None:
        """Exit code of a container that stops in time, else None."""
        with self._translated() as api:
            try:
                return api.wait(container, timeout=timeout_s)['StatusCode']
            except requests.exceptions.RequestException as err:
                if outage.is_timeout(err):
                    return None
                raise

    def get_container(self, container: str) -> model.Container:
        """Inspect by id or exact name.

        :raises: NotFound
        """
        with self._translated() as api:
            return wire.container(api.inspect_container(container))

    def find_container(self, container: str) -> model.Container | None:
        """Like get_container, with None for a container that is not."""
        try:
            return self.get_container(container)
        except exception.NotFound:
            return None

    def list_containers(
            self, labels: Mapping[str, str]) -> list[model.ContainerSummary]:
        """Containers in any state that carry all the labels; one call."""
        wanted = wire.label_filter(labels)
        with self._translated() as api:
            rows = api.containers(all=True, filters=wanted)
        return [wire.container_summary(row) for row in rows]

    def logs(self, container: str, max_bytes: int) -> bytes:
        """The end of the log, stdout and stderr as they came.

        The engine finds the last lines fast in a log of any size, but counts
        lines only, so more are asked for when those were short.
        """
        lines = _LOG_TAIL_LINES
        tail = self._log_tail(container, lines, max_bytes)
        if len(tail) < max_bytes and tail.count(b'\n') >= lines:
            lines = max_bytes
            tail = self._log_tail(container, lines, max_bytes)
        return tail

    def _log_tail(self, container: str, lines: int, max_bytes: int) -> bytes:
        tail = bytearray()
        with self._translated() as api:
            tty = api.inspect_container(container)['Config']['Tty']
            blocks = api.log_blocks(container, lines)
            for data in blocks if tty else wire.demultiplexed(blocks):
                tail += data
                if len(tail) > 2 * max_bytes:
                    del tail[:-max_bytes]
        return bytes(tail[max(0, len(tail) - max_bytes):])

    def put_archive(self, container: str, path: str, tar: bytes) -> None:
        """Unpack a tar into a container's file system, started or not.

        :raises: NotFound if the container or the path is missing
        """
        with self._translated() as api:
            api.put_archive(container, path, tar)

    # Images

    def load(self, archive: Iterable[bytes]) -> None:
        """Load a docker-archive, streamed.

        Engine API: POST /images/load. The engine reports most failures
        inside a 200 answer, so the answer is read to its end. An error that
        the iterable raises leaves unchanged, and no image is made.

        :raises: LoadError
        """
        failed: list[Exception] = []
        try:
            with self._streaming() as api:
                for answer in api.load_image(
                        outage.watched(archive, failed), quiet=True):
                    # A long error has "message": docker-py takes an answer
                    # in chunks for a success, whatever its status.
                    reason = answer.get('error') or answer.get('message')
                    if reason:
                        raise exception.LoadError(reason=reason)
        except exception.EngineUnavailable as err:
            raise failed[0] if failed else err

    def save(self, image: str) -> Iterator[bytes]:
        """Yield a docker-archive of one image.

        Engine API: GET /images/{name}/get. The engine assembles the whole
        archive before its first byte. Close the generator to stop early.
        """
        with self._streaming() as api:
            yield from api.get_image(image)

    def import_image(self, tar: bytes, tag: str,
                     changes: Iterable[str]) -> None:
        """Make an image of one layer; ``changes`` are Dockerfile lines.

        Engine API: POST /images/create?fromSrc=-
        """
        repository, _colon, name = tag.rpartition(':')
        with self._streaming() as api:
            api.import_image_from_data(tar, repository=repository, tag=name,
                                       changes=list(changes))

    def commit(self, container: str, labels: Mapping[str, str],
               pause: bool = True) -> str:
        """Make an untagged image of a container's file system.

        Engine API: POST /commit

        :param pause: freeze the container meanwhile, for consistency
        :returns: the image's id
        """
        # A "LABEL" change would have its quotes and dollars interpreted.
        with self._streaming(missing=exception.NotFound) as api:
            return api.commit(container, conf={'Labels': dict(labels)},
                              pause=pause)['Id']

    def get_image(self, image: str) -> model.Image:
        """Inspect by id or tag.

        :raises: ImageNotFound
        """
        with self._translated(missing=exception.ImageNotFound) as api:
            return wire.image(api.inspect_image(image))

    def find_image(self, image: str) -> model.Image | None:
        """Like get_image, with None for an image that is not there."""
        try:
            return self.get_image(image)
        except exception.ImageNotFound:
            return None

    def list_images(self, reference: str) -> list[model.Image]:
        """Images with a tag that matches, such as ``novadocker/*``."""
        with self._translated() as api:
            rows = api.images(filters={'reference': reference})
        return [wire.image_summary(row) for row in rows]

    def list_labelled_images(
            self, labels: Mapping[str, str]) -> list[model.Image]:
        """Images that carry all the labels, whether tagged or not."""
        wanted = wire.label_filter(labels)
        with self._translated() as api:
            rows = api.images(filters=wanted)
        return [wire.image_summary(row) for row in rows]

    def remove_image(self, image: str) -> None:
        """Remove a tag, and the image with its last one; never by force.

        :raises: ImageNotFound; Conflict while a container uses it
        """
        with self._translated(missing=exception.ImageNotFound) as api:
            api.remove_image(image)

    # Connections

    def _api(self) -> docker.APIClient:
        with self._lock:
            if self._shared is None:
                with self._typed_errors(exception.NotFound):
                    self._shared = self._connected()
            return self._shared

    def _connected(self) -> docker.APIClient:
        api = self._new_api(self._timeout_s)
        try:
            self._api_version = self._negotiate(api.version(False))
            api._version = self._api_version
        except docker_errors.APIError as err:
            api.close()
            raise exception.EngineUnavailable(
                url=self.url, reason=err.explanation or err) from err
        except BaseException:
            api.close()
            raise
        return api

    def _new_api(self, timeout_s: int | None) -> docker.APIClient:
        tls = docker.tls.TLSConfig(**self._tls) if self._tls else False
        api = _Api(base_url=self.url, version=self._api_version, tls=tls,
                   timeout=timeout_s)
        # Proxies, .netrc and REQUESTS_CA_BUNDLE are meant for the web.
        api.trust_env = False
        if self.url.startswith('unix://'):
            api.mount('http+docker://', _OnePoolAdapter(
                'http+' + self.url, timeout_s, max_pool_size=_POOL_SIZE))
        else:
            for scheme in ('http://', 'https://'):
                api.mount(scheme, requests.adapters.HTTPAdapter(
                    pool_connections=1, pool_maxsize=_POOL_SIZE))
        return api

    def _negotiate(self, server: Mapping) -> str:
        offered = server['ApiVersion']
        if _version_key(offered) < _version_key(MINIMUM_API_VERSION):
            raise exception.EngineTooOld(
                version=server['Version'], url=self.url, api_version=offered,
                minimum=MINIMUM_API_VERSION)
        agreed = min(offered, PREFERRED_API_VERSION, key=_version_key)
        return max(agreed, server.get('MinAPIVersion') or agreed,
                   key=_version_key)

    @contextlib.contextmanager
    def _translated(self, missing=exception.NotFound):
        """The shared connection pool, for calls that answer soon."""
        api = self._api()
        with self._renewed_after_loss(api), self._typed_errors(missing):
            yield api

    @contextlib.contextmanager
    def _streaming(self, missing=exception.ImageNotFound):
        """A connection of its own, for calls that may take minutes."""
        shared = self._api()
        with self._renewed_after_loss(shared), self._typed_errors(missing):
            with contextlib.closing(
                    self._new_api(self._stream_timeout_s)) as api:
                yield api

    @contextlib.contextmanager
    def _renewed_after_loss(self, api):
        """Agree on a version anew: the engine may return as another."""
        try:
            yield
        except exception.EngineUnavailable:
            with self._lock:
                # Left open, as other threads may be using it.
                if self._shared is api:
                    self._shared = None
            raise

    @contextlib.contextmanager
    def _typed_errors(self, missing):
        try:
            yield
        except docker_errors.APIError as err:
            raise _from_status(err, missing) from err
        except docker_errors.TLSParameterError as err:
            raise outage.tls_failure(self.url, err) from err
        except (*outage.ERRORS, docker_errors.DockerException) as err:
            raise outage.explain(self.url, err) from err


class _Api(docker.APIClient):
    """docker-py, but no stream may be silent for longer than allowed."""

    def _disable_socket_timeout(self, socket):
        pass

    def log_blocks(self, container: str, lines: int) -> Iterator[bytes]:
        """The log as it is sent.

        docker-py's ``logs`` reads a terminal's byte by byte, and takes a
        connection that broke for the end.
        """
        with self._get(self._url('/containers/{0}/logs', container),
                       params={'stdout': 1, 'stderr': 1, 'tail': lines},
                       stream=True) as answer:
            self._raise_for_status(answer)
            yield from answer.iter_content(_LOG_BLOCK_BYTES)


class _OnePoolAdapter(unixconn.UnixHTTPAdapter):
    """Keeps connections to the socket alive whatever the URL.

    docker-py's own keeps a pool for each full URL, 25 of them, so that calls
    about different containers never share a connection.
    """

    def get_connection(self, url, proxies=None):
        return super().get_connection('http+docker://localhost', proxies)


def _version_key(version: str) -> tuple[int, ...]:
    return versionutils.convert_version_to_tuple(version)


def _from_status(err: docker_errors.APIError, missing) -> Exception:
    kind = {400: exception.InvalidSpec,
            404: missing,
            409: exception.Conflict}.get(err.status_code,
                                         exception.EngineError)
    return kind(reason=err.explanation or err)
