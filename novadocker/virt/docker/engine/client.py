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

Verbs of the Engine API, each a few lines, each one request. Engine JSON goes
no further: ``wire`` turns answers into the frozen dataclasses of ``model``;
failures become the tree of ``exception``, chosen by HTTP status. What is done
about failures and long answers is not here but in ``policy``.

Calls wait at most the client's timeout for an answer. Streams (image load,
save, import and commit) have connections and a silence limit of their own:
an engine may work for minutes on a large image without a word.
"""

from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Mapping
import urllib.parse

from novadocker.virt.docker.engine import connection
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import outage
from novadocker.virt.docker.engine import wire

Request = connection.Request


class DockerClient:
    """One engine, usable from many threads.

    :param url: ``unix:///path`` or ``tcp://host:port``
    :param tls: None for a connection without TLS
    :param timeout_s: longest wait for the answer to an ordinary call
    :param stream_timeout_s: longest silence on a stream; None waits for ever

    The constructor does no I/O; the first call connects and agrees on an
    API version with the engine.
    """

    def __init__(self, url: str, tls: model.Tls | None = None,
                 timeout_s: float = 60,
                 stream_timeout_s: float | None = 600):
        self.url = url
        self._engine = connection.Connection(url, tls, timeout_s,
                                             stream_timeout_s)

    # The engine itself

    def connect(self) -> None:
        """Agree on an API version; harmless to repeat.

        :raises: EngineUnavailable, EngineForbidden, EngineTooOld
        """
        self._engine.api_version()

    def close(self) -> None:
        """Close pooled connections; the next call opens new ones."""
        self._engine.close()

    def info(self) -> model.EngineInfo:
        """Engine API: GET /info"""
        answer = self._engine.call(Request('GET', '/info'))
        return wire.engine_info(answer, self._engine.api_version())

    # Containers

    def create(self, spec: model.ContainerSpec) -> str:
        """Create a container, without starting it, and return its id.

        Engine API: POST /containers/create

        :raises: Conflict if the name is taken, ImageNotFound, InvalidSpec
        """
        return wire.identity(self._engine.call(Request(
            'POST', '/containers/create', {'name': spec.name},
            wire.creation(spec), missing=exception.ImageNotFound)))

    def recreate(self, container: str, name: str, image: str,
                 network_owner: str) -> str:
        """Create a twin of a container: another image, name and sandbox.

        :returns: the twin's id
        :raises: as create; NotFound for the container
        """
        original = self._engine.call(Request('GET', _of(container, 'json')))
        return wire.identity(self._engine.call(Request(
            'POST', '/containers/create', {'name': name},
            wire.twin(original, image, network_owner))))

    def start(self, container: str) -> None:
        """Start; a container that runs already is left as it is."""
        self._engine.call(Request('POST', _of(container, 'start')))

    def stop(self, container: str, timeout_s: int) -> None:
        """Send the image's stop signal, wait, kill; idempotent."""
        self._engine.call(Request('POST', _of(container, 'stop'),
                                  {'t': timeout_s}), longer_s=timeout_s)

    def kill(self, container: str) -> None:
        """Kill at once.

        :raises: Conflict if it does not run
        """
        self._engine.call(Request('POST', _of(container, 'kill')))

    def pause(self, container: str) -> None:
        """:raises: Conflict if it does not run or is paused already"""
        self._engine.call(Request('POST', _of(container, 'pause')))

    def unpause(self, container: str) -> None:
        """:raises: EngineError if it is not paused"""
        self._engine.call(Request('POST', _of(container, 'unpause')))

    def rename(self, container: str, name: str) -> None:
        """:raises: Conflict if the name is taken"""
        self._engine.call(Request('POST', _of(container, 'rename'),
                                  {'name': name}))

    def remove(self, container: str) -> None:
        """Kill if need be and remove, with its anonymous volumes.

        :raises: NotFound; Conflict while another removal is in progress
        """
        self._engine.call(Request('DELETE', _of(container),
                                  {'v': 1, 'force': 1}))

    def wait(self, container: str, timeout_s: float) -> int | None:
        """Exit code of a container that stops in time, else None.

        The engine begins its answer before the container stops, so None
        tells that it did answer; one that hangs is EngineUnavailable.
        """
        with self._engine.wait(Request(
                'POST', _of(container, 'wait'))) as answer:
            return wire.exit_code(answer.json_within(timeout_s))

    def get_container(self, container: str) -> model.Container:
        """Inspect by id or exact name.

        :raises: NotFound
        """
        return wire.container(self._engine.call(
            Request('GET', _of(container, 'json'))))

    def find_container(self, container: str) -> model.Container | None:
        """Like get_container, with None for a container that is not."""
        try:
            return self.get_container(container)
        except exception.NotFound:
            return None

    def list_containers(
            self, labels: Mapping[str, str]) -> list[model.ContainerSummary]:
        """Containers in any state that carry all the labels; one call."""
        rows = self._engine.call(Request(
            'GET', '/containers/json', {'all': 1, **wire.labelled(labels)}))
        return [wire.container_summary(row) for row in rows]

    def logs(self, container: str, max_bytes: int,
             lines: int | None = None) -> bytes:
        """The end of the log, stdout and stderr as they came.

        :param lines: None for all; the engine finds the last lines fast in
            a log of any size
        """
        query = {'stdout': 1, 'stderr': 1,
                 'tail': 'all' if lines is None else lines}
        tty = self.get_container(container).tty
        tail = bytearray()
        with self._engine.answer(Request(
                'GET', _of(container, 'logs'), query)) as answer:
            blocks = answer.blocks()
            for data in blocks if tty else wire.demultiplexed(blocks):
                tail += data
                if len(tail) > 2 * max_bytes:
                    del tail[:-max_bytes]
        return bytes(tail[max(0, len(tail) - max_bytes):])

    def put_archive(self, container: str, path: str, tar: bytes) -> None:
        """Unpack a tar into a container's file system, started or not.

        :raises: NotFound if the container or the path is missing
        """
        self._engine.call(Request('PUT', _of(container, 'archive'),
                                  {'path': path}, tar))

    def written_bytes(self, container: str) -> int:
        """How much a commit would write, holes in sparse files included.

        Engine API: GET /containers/{id}/json?size=1. An image store of
        containerd's counts the blocks that files take instead, and leaves
        the holes out.

        :raises: NotFound
        """
        return wire.written_bytes(self._engine.call(
            Request('GET', _of(container, 'json'), {'size': 1})))

    def path_exists(self, container: str, path: str) -> bool:
        """Whether there is anything at a path of a container, started or not.

        The engine follows links within the container's root.

        Engine API: HEAD /containers/{id}/archive

        :raises: EngineError for a path below a file
        """
        try:
            self._engine.call(Request('HEAD', _of(container, 'archive'),
                                      {'path': path}))
        except exception.NotFound:
            return False
        return True

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
            self._feed(Request('POST', '/images/load', {'quiet': 1},
                               outage.watched(archive, failed)))
        except exception.EngineUnavailable as err:
            raise failed[0] if failed else err

    def _feed(self, request: Request) -> None:
        with self._engine.stream(request) as answer:
            for progress in answer.json_lines():
                reason = wire.failure(progress)
                if reason:
                    raise exception.LoadError(reason=reason)

    def save(self, image: str) -> Generator[bytes, None, None]:
        """Yield a docker-archive of one image.

        Engine API: GET /images/{name}/get. The engine assembles the whole
        archive before its first byte. Close the generator to stop early.
        """
        with self._engine.stream(Request(
                'GET', _image(image, 'get'),
                missing=exception.ImageNotFound)) as answer:
            yield from answer.blocks()

    def import_image(self, tar: bytes, tag: str,
                     changes: Iterable[str]) -> None:
        """Make an image of one layer; ``changes`` are Dockerfile lines.

        Engine API: POST /images/create?fromSrc=-

        :raises: InvalidSpec, LoadError
        """
        repository, _colon, name = tag.rpartition(':')
        self._feed(Request(
            'POST', '/images/create',
            {'fromSrc': '-', 'repo': repository, 'tag': name,
             'changes': list(changes)}, tar))

    def commit(self, container: str, labels: Mapping[str, str],
               pause: bool = True) -> str:
        """Make an untagged image of a container's file system.

        Engine API: POST /commit

        :param pause: freeze the container meanwhile, for consistency
        :returns: the image's id
        """
        # A "LABEL" change would have its quotes and dollars interpreted.
        with self._engine.stream(Request(
                'POST', '/commit',
                {'container': container, 'pause': int(pause)},
                {'Labels': dict(labels)})) as answer:
            return wire.identity(answer.json())

    def get_image(self, image: str) -> model.Image:
        """Inspect by id or tag.

        :raises: ImageNotFound
        """
        return wire.image(self._engine.call(Request(
            'GET', _image(image, 'json'), missing=exception.ImageNotFound)))

    def find_image(self, image: str) -> model.Image | None:
        """Like get_image, with None for an image that is not there."""
        try:
            return self.get_image(image)
        except exception.ImageNotFound:
            return None

    def list_images(self, reference: str) -> list[model.Image]:
        """Images with a tag that matches, such as ``novadocker/*``."""
        return self._images(wire.filters(reference=[reference]))

    def list_labelled_images(
            self, labels: Mapping[str, str]) -> list[model.Image]:
        """Images that carry all the labels, whether tagged or not."""
        return self._images(wire.labelled(labels))

    def _images(self, filters: Mapping[str, str]) -> list[model.Image]:
        rows = self._engine.call(Request('GET', '/images/json', filters))
        return [wire.image_summary(row) for row in rows]

    def remove_image(self, image: str) -> None:
        """Remove a tag, and the image with its last one; never by force.

        :raises: ImageNotFound; Conflict while a container uses it
        """
        self._engine.call(Request('DELETE', _image(image),
                                  missing=exception.ImageNotFound))


def _of(container: str, *rest: str) -> str:
    return '/'.join(('/containers', urllib.parse.quote(container, ''), *rest))


def _image(image: str, *rest: str) -> str:
    return '/'.join(('/images', urllib.parse.quote(image), *rest))
