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

"""The values that cross rooms: frozen, typed, free of the engine's JSON."""

from collections.abc import Mapping
import dataclasses

# Container states as the engine spells them (Engine API: State.Status).
CREATED = 'created'
RUNNING = 'running'
PAUSED = 'paused'
RESTARTING = 'restarting'
REMOVING = 'removing'
EXITED = 'exited'
DEAD = 'dead'


@dataclasses.dataclass(frozen=True)
class Tls:
    """How an engine on TCP is known, and nova-compute to it: PEM files.

    Without ``ca_file`` the authorities of the system are trusted.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


@dataclasses.dataclass(frozen=True)
class ContainerSummary:
    """One row of a container list.

    ``network_owner`` is the id of the container whose network namespace it
    joins, if it has none of its own.
    """

    id: str
    name: str
    state: str
    image_id: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    network_owner: str = ''


@dataclasses.dataclass(frozen=True)
class Container(ContainerSummary):
    """A container as inspected.

    ``netns_path`` is the engine's handle on the network namespace; it is
    empty while the container does not run, and for a container that joins
    the namespace of another. ``resolv_conf_path`` and ``hosts_path`` are
    files on the host that the container sees as its own.
    """

    pid: int = 0
    exit_code: int = 0
    error: str = ''
    oom_killed: bool = False
    started_at: str = ''
    tty: bool = False
    netns_path: str = ''
    resolv_conf_path: str = ''
    hosts_path: str = ''


@dataclasses.dataclass(frozen=True)
class Image:
    """An image as inspected; ``size_bytes`` is unpacked."""

    id: str
    tags: tuple[str, ...] = ()
    architecture: str = ''
    os: str = ''
    size_bytes: int = 0
    created: str = ''
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """What the engine says of itself and of its host.

    ``limits_root_disk`` tells whether it can enforce the size of a
    container's file system, and ``nofile_limit`` how many open files it can
    grant to a process. It says neither: HostOps finds out.
    """

    version: str
    api_version: str
    architecture: str
    cpus: int
    memory_bytes: int
    root_directory: str
    storage_driver: str
    storage_status: Mapping[str, str] = dataclasses.field(
        default_factory=dict)
    cgroup_version: str = '1'
    live_restore: bool = False
    runtimes: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    limits_root_disk: bool = False
    nofile_limit: int = 0

    @property
    def has_seccomp(self) -> bool:
        return any(option.startswith('name=seccomp')
                   for option in self.security_options)


@dataclasses.dataclass(frozen=True)
class ContainerSpec:
    """All that the engine is told when a container is created.

    ``entrypoint`` and ``command`` None mean the image's own. ``nano_cpus``
    is a hard quota in billionths of a CPU; 0 anywhere means no limit.
    ``network_mode`` is ``none`` or ``container:<id>``. ``binds`` mounts
    directories of the host, read-only, at paths in the container.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    network_mode: str
    hostname: str | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    working_dir: str | None = None
    user: str | None = None
    tty: bool = False
    init: bool = False
    read_only: bool = False
    privileged: bool = False
    runtime: str | None = None
    memory_bytes: int = 0
    cpu_shares: int = 0
    nano_cpus: int = 0
    pids_limit: int = 0
    root_bytes: int = 0
    cap_drop: tuple[str, ...] = ('ALL',)
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    ulimits: Mapping[str, tuple[int, int]] = dataclasses.field(
        default_factory=dict)
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    log_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    binds: Mapping[str, str] = dataclasses.field(default_factory=dict)
