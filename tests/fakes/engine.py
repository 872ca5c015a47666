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


"""A Docker Engine that runs nothing: its state machine.

Behaves as ``tests/contract`` says, which a real engine confirms: no behaviour
is added here before the contract has passed there. Answers carry the engine's
own JSON, as far as a client may rely on it.

Time: processes live by the clock, but nobody waits for one that ignores its
stop signal; it is killed at once.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import io
import os
import re
import threading
import time
import uuid

from tests.fakes import images
from tests.fakes.images import Refusal
from tests.fakes import process

_PATH = ('/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin',
         '/sbin', '/bin')
_NEVER = '0001-01-01T00:00:00Z'
# The engine splits longer lines in its log.
_LOG_ENTRY_BYTES = 16 * 1024
# No process of the host can have such an id.
_FIRST_PID = 5_000_000


@dataclasses.dataclass
class Container:
    """State of one container."""

    id: str
    name: str
    image: images.Image
    config: dict
    host_config: dict
    directory: str
    state: str = 'created'
    pid: int = 0
    exit_code: int = 0
    error: str = ''
    created: str = dataclasses.field(default_factory=images.now)
    started: str = _NEVER
    finished: str = _NEVER
    netns: str = ''
    files_of: str = ''
    exits: int = 0
    log: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    archives: list[tuple[str, bytes]] = dataclasses.field(
        default_factory=list)
    # Names of anonymous volumes by where they are mounted.
    volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    program: process.Program | None = None
    start_clock: float = 0
    written: int = 0
    hole_bytes: int = 0
    # The grace period of each stop that was asked for.
    stop_timeouts: list[int] = dataclasses.field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.state in ('running', 'paused')

    @property
    def labels(self) -> dict:
        return self.config['Labels']

    @property
    def network_mode(self) -> str:
        return self.host_config.get('NetworkMode') or 'default'

    @property
    def argv(self) -> list[str]:
        return [*(self.config['Entrypoint'] or ()),
                *(self.config['Cmd'] or ())]

    def files(self) -> dict[str, list[str]]:
        """Names of the members of each archive, by where it was put."""
        found: dict[str, list[str]] = {}
        for path, data in self.archives:
            found.setdefault(path, []).extend(images.check_tar(data))
        return found

    def written_bytes(self) -> int:
        """Apparent sizes of all files that its image has not."""
        return self.hole_bytes + sum(
            images.file_bytes(data) for _path, data in self.archives)

    def write(self, stream: int, data: bytes) -> None:
        """Append output to the log, line by line."""
        if self.config['Tty']:
            stream, data = process.STDOUT, data.replace(b'\n', b'\r\n')
        for line in data.splitlines(keepends=True):
            for start in range(0, len(line), _LOG_ENTRY_BYTES):
                self.log.append((stream, line[start:start
                                              + _LOG_ENTRY_BYTES]))


class Engine:
    """All that one engine knows, for many threads.

    :param directory: where it keeps layers and containers' files; they are
        real files, so that a driver can write to ``ResolvConfPath``
    """

    def __init__(self, directory: str):
        self.directory = directory
        self.store = images.ImageStore(directory)
        self.containers: dict[str, Container] = {}
        # What was put into each volume.
        self.volumes: dict[str, list[tuple[str, bytes]]] = {}
        self.information = dict(_INFORMATION, DockerRootDir=directory)
        self.version = '20.10.24'
        self.api_version = '1.41'
        self.min_api_version = '1.12'
        self._changed = threading.Condition(threading.RLock())
        self._programs: dict[str, process.Program] = {}
        self._pids = iter(range(_FIRST_PID, 2 * _FIRST_PID))
        self._closed = False

    # For tests

    def program(self, what: str, exit_code: int | None = None,
                output: bytes = b'', after_s: float = 0,
                term_exit_code: int | None = None) -> None:
        """Say what a process does, by its image or its command line.

        :param what: a tag, or the words of a command joined by spaces
        :param exit_code: None for a process that runs until it is ended
        """
        written = [(0, process.STDOUT, output)] if output else []
        self._programs[what] = process.Program(
            written, exit_code, after_s, term_exit_code)

    def exit(self, container: str, exit_code: int,
             output: bytes = b'') -> None:
        """Let a running container end by itself, now."""
        with self._locked():
            found = self.get(container)
            found.write(process.STDOUT, output)
            self._exited(found, exit_code)

    def snapshot(self) -> dict:
        """All that a failed operation has to leave as it was."""
        with self._locked():
            return {
                'containers': {
                    each.name: (each.id, each.state, each.image.id,
                                dict(each.labels), each.network_mode)
                    for each in self.containers.values()},
                'images': {image.id: tuple(image.tags)
                           for image in self.store.images.values()},
                'volumes': set(self.volumes),
            }

    def file(self, container: str, path: str) -> bytes | None:
        """What a container has at an absolute path."""
        with self._locked():
            return self._file(self.get(container), path)

    def close(self) -> None:
        """Answer whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # Finding containers

    def find(self, reference: str) -> Container | None:
        """By id, name, or the beginning of an id, in this order."""
        by_name = {each.name: each for each in self.containers.values()}
        found = (self.containers.get(reference) or
                 by_name.get(reference.lstrip('/')))
        if found or not reference:
            return found
        begins = [each for each in self.containers.values()
                  if each.id.startswith(reference)]
        return begins[0] if len(begins) == 1 else None

    def get(self, reference: str) -> Container:
        container = self.find(reference)
        if container is None:
            raise Refusal(404, 'No such container: %s' % reference)
        return container

    def inspect(self, reference: str) -> dict:
        with self._locked():
            return _inspection(self.get(reference))

    def inspect_with_size(self, reference: str) -> dict:
        with self._locked():
            container = self.get(reference)
            return {**_inspection(container),
                    'SizeRw': container.written_bytes()}

    def rows(self, everything: bool, labels: list[str]) -> list[dict]:
        with self._locked():
            return [_row(each) for each in reversed(self.containers.values())
                    if (everything or each.running) and
                    all(_carries(each, label) for label in labels)]

    # The life of a container

    def create(self, name: str, body: Mapping) -> str:
        with self._locked():
            config = {key: value for key, value in body.items()
                      if key not in ('HostConfig', 'NetworkingConfig')}
            host_config = dict(body.get('HostConfig') or {})
            self._check_name(name)
            image = self.store.get(config['Image'])
            self._check_limits(host_config)
            self._resolve_network(config, host_config)
            identity = uuid.uuid4().hex * 2
            container = Container(
                identity, name, image, _merged(config, image, identity),
                host_config, os.path.join(self.directory, identity))
            self._mount_volumes(container)
            self.containers[identity] = container
            return identity

    def _mount_volumes(self, container: Container) -> None:
        for other in container.host_config.get('VolumesFrom') or ():
            owner, _colon, _mode = other.partition(':')
            container.volumes.update(self.get(owner).volumes)
        for destination in container.config['Volumes'] or ():
            if destination not in container.volumes:
                name = uuid.uuid4().hex * 2
                container.volumes[destination] = name
                self.volumes[name] = []

    def _check_name(self, name: str) -> None:
        if not re.fullmatch('[a-zA-Z0-9][a-zA-Z0-9_.-]+', name):
            raise Refusal(400, 'Invalid container name (%s), only '
                          '[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed' % name)
        owner = next((each for each in self.containers.values()
                      if each.name == name), None)
        if owner:
            raise Refusal(409, 'Conflict. The container name "/%s" is already '
                          'in use by container "%s". You have to remove (or '
                          'rename) that container to be able to reuse that '
                          'name.' % (name, owner.id))

    def _check_limits(self, host_config: Mapping) -> None:
        runtime = host_config.get('Runtime')
        if runtime and runtime not in self.information['Runtimes']:
            raise Refusal(400, 'Unknown runtime specified %s' % runtime)
        if 0 < (host_config.get('Memory') or 0) < 6 << 20:
            raise Refusal(400, 'Minimum memory limit allowed is 6MB')
        cpus = self.information['NCPU']
        if (host_config.get('NanoCpus') or 0) > cpus * 10 ** 9:
            raise Refusal(400, 'Range of CPUs is from 0.01 to %d.00, as '
                          'there are only %d CPUs available' % (cpus, cpus))
        if host_config.get('StorageOpt'):
            raise Refusal(500, '--storage-opt is supported only for overlay '
                          'over xfs with \'pquota\' mount option')

    def _resolve_network(self, config: Mapping, host_config: dict) -> None:
        """Name the owner of a shared network by its id from now on."""
        kind, _colon, reference = (
            host_config.get('NetworkMode') or '').partition(':')
        if kind != 'container':
            return
        if config.get('Hostname'):
            raise Refusal(
                400, 'conflicting options: hostname and the network mode')
        owner = self.find(reference)
        if owner:
            host_config['NetworkMode'] = 'container:%s' % owner.id

    def start(self, reference: str) -> bool:
        """Start; False if it runs already."""
        with self._locked():
            container = self.get(reference)
            if container.state == 'paused':
                raise Refusal(409, 'cannot start a paused container, try '
                              'unpause instead')
            if container.running:
                return False
            try:
                self._join_network(container)
                program = self._find_program(container)
            except Refusal as refusal:
                container.error = refusal.message
                raise
            self._started(container, program)
            return True

    def _join_network(self, container: Container) -> None:
        kind, _colon, owner_id = container.network_mode.partition(':')
        if kind != 'container':
            container.files_of = container.directory
            container.netns = '/var/run/docker/netns/' + uuid.uuid4().hex[:12]
            return
        try:
            owner = self.get(owner_id)
            if not owner.running:
                raise Refusal(409, 'cannot join network of a non running '
                              'container: %s' % owner_id)
        except Refusal:
            container.exit_code = container.exit_code or 128
            raise
        container.files_of = owner.files_of

    def _find_program(self, container: Container) -> process.Program:
        argv = container.argv
        if not self._executable(container, argv[0]):
            container.exit_code = 127
            raise Refusal(
                400, 'failed to create shim task: OCI runtime create failed: '
                'runc create failed: unable to start container process: '
                'exec: "%s": stat %s: no such file or directory: unknown'
                % (argv[0], argv[0]))
        for what in (' '.join(argv), *container.image.tags):
            if what in self._programs:
                return self._programs[what]
        return process.interpret(
            argv, container.config['OpenStdin'],
            lambda path: self._file(container, path))

    def _executable(self, container: Container, command: str) -> bool:
        places = [command] if '/' in command else [
            '%s/%s' % (directory, command) for directory in _PATH]
        names = set(self._file_names(container))
        return any(place.lstrip('/') in names for place in places)

    def _started(self, container: Container, program) -> None:
        os.makedirs(container.directory, exist_ok=True)
        for name in ('resolv.conf', 'hosts'):
            path = os.path.join(container.files_of, name)
            with open(path, 'a'):
                pass
        container.state = 'running'
        container.pid = next(self._pids)
        container.exit_code = 0
        container.error = ''
        container.started = images.now()
        container.start_clock = time.monotonic()
        container.program = program
        container.written = 0
        container.hole_bytes += program.hole_bytes
        self._changed.notify_all()

    def stop(self, reference: str, timeout_s: int) -> bool:
        """Stop; False if it does not run."""
        with self._locked():
            container = self.get(reference)
            container.stop_timeouts.append(timeout_s)
            if not container.running:
                return False
            self._exited(container, self._stopped_by_signal(container))
            return True

    def _stopped_by_signal(self, container: Container) -> int:
        if container.state == 'paused':
            return process.KILLED
        if container.program.term_exit_code is not None:
            return container.program.term_exit_code
        if container.host_config.get('Init'):
            return process.TERMINATED
        return process.KILLED

    def kill(self, reference: str) -> None:
        with self._locked():
            try:
                container = self._running(reference)
            except Refusal as refusal:
                raise Refusal(refusal.status, 'Cannot kill container: %s: %s'
                              % (reference, refusal.message)) from None
            self._exited(container, process.KILLED)

    def pause(self, reference: str) -> None:
        with self._locked():
            container = self._running(reference)
            if container.state == 'paused':
                raise Refusal(409, 'Container %s is already paused'
                              % container.id)
            container.state = 'paused'

    def unpause(self, reference: str) -> None:
        with self._locked():
            container = self.get(reference)
            if container.state != 'paused':
                raise Refusal(500, 'Container %s is not paused'
                              % container.id)
            container.state = 'running'
            self._changed.notify_all()

    def rename(self, reference: str, name: str) -> None:
        with self._locked():
            container = self.get(reference)
            if name == container.name:
                raise Refusal(400, 'Renaming a container with the same name '
                              'as its current name')
            try:
                self._check_name(name)
            except Refusal as refusal:
                raise Refusal(
                    refusal.status, 'Error when allocating new name: '
                    + refusal.message) from None
            container.name = name

    def remove(self, reference: str, force: bool,
               volumes: bool = True) -> None:
        with self._locked():
            container = self.get(reference)
            if container.running:
                if not force:
                    raise Refusal(409, 'You cannot remove a running '
                                  'container %s.' % container.id)
                self._exited(container, process.KILLED)
            del self.containers[container.id]
            used = {name for other in self.containers.values()
                    for name in other.volumes.values()}
            for name in set(container.volumes.values()) - used:
                if volumes:
                    del self.volumes[name]

    def wait(self, reference: str) -> int:
        """Block until the container does not run; its exit code."""
        with self._locked():
            container = self.get(reference)
            exits = container.exits
            while (container.running and container.exits == exits and
                   not self._closed):
                self._changed.wait(self._due_in(container))
                self._settle()
            return container.exit_code

    # What containers hold

    def logs(self, reference: str,
             tail: int | None) -> tuple[bool, list[tuple[int, bytes]]]:
        """Whether there is a terminal, and the last entries of the log."""
        with self._locked():
            container = self.get(reference)
            entries = list(container.log)
            if tail is not None:
                entries = entries[max(0, len(entries) - tail):]
            return container.config['Tty'], entries

    def put_archive(self, reference: str, path: str, data: bytes) -> None:
        with self._locked():
            container = self.get(reference)
            if not self._is_directory(container, path):
                raise Refusal(404, 'Could not find the file %s in container '
                              '%s' % (path, reference))
            images.check_tar(data)
            self._written(container, path).append((path, data))

    def _written(self, container: Container,
                 path: str) -> list[tuple[str, bytes]]:
        """Where the files below a path are kept."""
        for destination, name in container.volumes.items():
            if (path + '/').startswith(destination + '/'):
                return self.volumes[name]
        return container.archives

    def _file(self, container: Container, path: str) -> bytes | None:
        for directory, data in reversed(self._written(container, path)):
            found = images.file(data, os.path.relpath(path, directory))
            if found is not None:
                return found
        return self.store.file(container.image, path.lstrip('/'))

    def check_path(self, reference: str, path: str) -> None:
        with self._locked():
            container = self.get(reference)
            found = {name.strip('/') for name in self._file_names(container)}
            wanted = path.strip('/')
            if wanted in found or self._is_directory(container, wanted):
                return
            above = os.path.dirname(wanted)
            if above in found and not self._is_directory(container, above):
                raise Refusal(500, 'lstat %s: not a directory' % path)
            raise Refusal(404, 'Could not find the file %s in container %s'
                          % (path, reference))

    def _is_directory(self, container: Container, path: str) -> bool:
        wanted = path.strip('/')
        made = {os.path.join(target, name).strip('/')
                for target, data in container.archives
                for name in images.directories(data)}
        made.update(path.strip('/') for path in container.volumes)
        return not wanted or wanted in made or any(
            name.startswith(wanted + '/')
            for name in self._file_names(container))

    def _file_names(self, container: Container) -> Iterator[str]:
        yield from self.store.names(container.image)
        for path, names in container.files().items():
            for name in names:
                yield os.path.join(path, name).lstrip('/')

    def commit(self, reference: str, config: Mapping) -> str:
        with self._locked():
            container = self.get(reference)
            settings = {
                key: container.config[key]
                for key in ('Cmd', 'Entrypoint', 'Env', 'WorkingDir', 'User',
                            'Volumes')}
            settings['Labels'] = {**container.labels,
                                  **(config.get('Labels') or {})}
            return self.store.build(images.joined(container.archives),
                                    settings, container.image).id

    # Images

    def add_image(self, archive: bytes) -> None:
        """Load an image by the back door."""
        with self._locked():
            list(self.store.load(io.BytesIO(archive)))

    def list_images(self, pattern: str) -> list[dict]:
        with self._locked():
            return [self._image_row(image, tags)
                    for image, tags in self.store.matching(pattern)]

    def list_labelled_images(self, labels: list[str]) -> list[dict]:
        with self._locked():
            return [self._image_row(image, image.tags)
                    for image in self.store.images.values()
                    if set(labels) <= {
                        '%s=%s' % item for item in
                        (image.settings.get('Labels') or {}).items()}]

    def _image_row(self, image, tags: list[str]) -> dict:
        return {'Id': image.id, 'RepoTags': tags,
                'Size': self.store.size(image),
                'Labels': image.settings.get('Labels')}

    def inspect_image(self, reference: str) -> dict:
        with self._locked():
            image = self.store.get(reference)
            return {
                'Id': image.id, 'RepoTags': image.tags,
                'Parent': image.parent, 'Config': image.settings,
                'Architecture': image.config.get('architecture'),
                'Os': image.config.get('os'),
                'Created': image.config.get('created', _NEVER),
                'Size': self.store.size(image),
                'RootFS': {'Type': 'layers', 'Layers': image.layers},
            }

    def remove_image(self, reference: str) -> None:
        with self._locked():
            users = {each.image.id: each.id
                     for each in self.containers.values()}
            self.store.remove(reference, users)

    def info(self) -> dict:
        with self._locked():
            return dict(
                self.information, ServerVersion=self.version,
                Containers=len(self.containers),
                ContainersRunning=sum(each.state == 'running' for each
                                      in self.containers.values()),
                Images=len(self.store.images))

    # Processes

    @contextlib.contextmanager
    def _locked(self):
        with self._changed:
            self._settle()
            yield

    def _settle(self) -> None:
        """Let processes do what the clock says they have done by now."""
        for container in self.containers.values():
            if container.state == 'running':
                self._proceed(container)

    def _proceed(self, container: Container) -> None:
        program = container.program
        age_s = time.monotonic() - container.start_clock
        for at_s, stream, data in program.output[container.written:]:
            if at_s > age_s:
                break
            container.write(stream, data)
            container.written += 1
        if program.exit_code is not None and program.after_s <= age_s:
            self._exited(container, program.exit_code)

    def _due_in(self, container: Container) -> float | None:
        """Seconds until a process exits by itself; None if it will not."""
        if container.state != 'running' or container.program.exit_code is None:
            return None
        return max(0, container.start_clock + container.program.after_s
                   - time.monotonic())

    def _exited(self, container: Container, exit_code: int) -> None:
        container.state = 'exited'
        container.pid = 0
        container.exit_code = exit_code
        container.finished = images.now()
        container.exits += 1
        self._changed.notify_all()

    def _running(self, reference: str) -> Container:
        container = self.get(reference)
        if not container.running:
            raise Refusal(409, 'Container %s is not running' % container.id)
        return container


def _merged(config: Mapping, image: images.Image, identity: str) -> dict:
    """A container's settings over those of its image."""
    base = image.settings
    entrypoint = config.get('Entrypoint')
    command = config.get('Cmd')
    if not entrypoint:
        command = command or base.get('Cmd')
        entrypoint = base.get('Entrypoint')
    if not entrypoint and not command:
        raise Refusal(400, 'No command specified')
    environment = list(config.get('Env') or ())
    names = {item.partition('=')[0] for item in environment}
    environment += [item for item in base.get('Env') or ()
                    if item.partition('=')[0] not in names]
    return {
        'Hostname': config.get('Hostname') or identity[:12],
        'Image': config['Image'], 'Entrypoint': entrypoint, 'Cmd': command,
        'Env': environment,
        'Labels': {**(base.get('Labels') or {}),
                   **(config.get('Labels') or {})},
        'WorkingDir': config.get('WorkingDir')
        or base.get('WorkingDir') or '',
        'User': config.get('User') or base.get('User') or '',
        'Volumes': {**(base.get('Volumes') or {}),
                    **(config.get('Volumes') or {})} or None,
        'Tty': bool(config.get('Tty')),
        'OpenStdin': bool(config.get('OpenStdin')),
    }


def _carries(container: Container, wanted: str) -> bool:
    name, equals, value = wanted.partition('=')
    return (name in container.labels and
            (not equals or container.labels[name] == value))


def _row(container: Container) -> dict:
    return {
        'Id': container.id, 'Names': ['/' + container.name],
        'Image': container.config['Image'], 'ImageID': container.image.id,
        'Labels': container.labels, 'State': container.state,
        'HostConfig': {'NetworkMode': container.network_mode},
    }


def _inspection(container: Container) -> dict:
    started = bool(container.files_of)
    return {
        'Id': container.id, 'Name': '/' + container.name,
        'Created': container.created, 'Image': container.image.id,
        'Path': container.argv[0], 'Args': container.argv[1:],
        'State': {
            'Status': container.state, 'Running': container.running,
            'Paused': container.state == 'paused', 'Restarting': False,
            'OOMKilled': False, 'Dead': False, 'Pid': container.pid,
            'ExitCode': container.exit_code, 'Error': container.error,
            'StartedAt': container.started, 'FinishedAt': container.finished,
        },
        'ResolvConfPath': container.files_of + '/resolv.conf'
        if started else '',
        'HostsPath': container.files_of + '/hosts' if started else '',
        'HostConfig': {**container.host_config,
                       'NetworkMode': container.network_mode},
        'Config': container.config,
        'Mounts': [{'Type': 'volume', 'Name': name,
                    'Destination': destination}
                   for destination, name in container.volumes.items()],
        'NetworkSettings': {'SandboxKey': container.netns},
    }


_INFORMATION = {
    'Architecture': 'x86_64', 'NCPU': 2, 'MemTotal': 8 << 30,
    'Driver': 'overlay2', 'DriverStatus': [['Backing Filesystem', 'extfs']],
    'CgroupVersion': '1', 'LiveRestoreEnabled': False,
    'Runtimes': {'runc': {'path': 'runc'}}, 'DefaultRuntime': 'runc',
    'SecurityOptions': ['name=seccomp,profile=default'],
    'OperatingSystem': 'Debian GNU/Linux 12 (bookworm)',
}
