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

"""The host: which engine it has, what it offers, how it is doing."""

from collections.abc import Mapping
import dataclasses
import math
import os
import typing

import os_resource_classes as orc
from oslo_concurrency import processutils
from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import units
from oslo_utils import versionutils
import psutil

from nova.objects import fields
from novadocker import conf
from novadocker.virt.docker.engine import client as engine_client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import limits

CONF = conf.CONF
LOG = logging.getLogger(__name__)

TRAIT_DOCKER = 'CUSTOM_HYPERVISOR_DOCKER'
TRAIT_ROOT_DISK_LIMIT = 'CUSTOM_DOCKER_ROOT_DISK_LIMIT'

_Inventory = dict[str, int | float]


class HostOps:
    """:param client: the engine's client

    ``name`` is the host that nova-compute was started for; it is the node's
    name as well and must never change, whatever gethostname() or the engine
    say.
    """

    def __init__(self, client: engine_client.DockerClient):
        self._client = client
        self.name: str = CONF.host
        self._engine: model.EngineInfo | None = None
        self._nofile_limit = limits.NOFILE_LIMITS[-1]

    def connect(self, host: str) -> None:
        """Meet the engine, once, when the service starts.

        :raises: EngineUnavailable, EngineForbidden, EngineTooOld
        """
        self.name = host
        if CONF.docker.host_url.startswith('tcp://') and not _uses_tls():
            LOG.warning('The engine at %s is reached without TLS: whoever '
                        'connects to its port is root on this host. Set '
                        '[docker]ca_file.', CONF.docker.host_url)
        self._client.connect()
        engine = self.refresh()
        LOG.info('Docker Engine %s, API %s, storage driver %s, cgroup '
                 'version %s', engine.version, engine.api_version,
                 engine.storage_driver, engine.cgroup_version)
        if not engine.live_restore:
            LOG.warning('Live restore is off: a restart of the engine stops '
                        'every server of this host. Set "live-restore": true '
                        'in /etc/docker/daemon.json.')
        if not engine.limits_root_disk:
            LOG.warning('The storage driver %s cannot limit the size of a '
                        "server's disk: flavors' root_gb is counted by "
                        'Placement but not enforced.', engine.storage_driver)

    def measure(self, image: str) -> None:
        """Find out what the engine can grant, once, when the service starts.

        :param image: of a process that does nothing but wait
        :raises: EngineUnavailable
        """
        self._nofile_limit = limits.grantable_nofile(
            self._client, image, self.name)
        self._engine = dataclasses.replace(
            self.engine, nofile_limit=self._nofile_limit)

    @property
    def engine(self) -> model.EngineInfo:
        """What the engine said of itself when it was last asked."""
        return self._engine or self.refresh()

    def refresh(self) -> model.EngineInfo:
        """Ask the engine about itself again."""
        info = self._client.info()
        self._engine = dataclasses.replace(
            info, limits_root_disk=_can_limit_root_disk(info),
            nofile_limit=self._nofile_limit)
        return self._engine

    def uptime(self) -> str:
        """What uptime(1) prints."""
        out, _err = processutils.execute('env', 'LANG=C', 'uptime')
        return str(out)

    def available_resource(self) -> dict[str, typing.Any]:
        """The host's totals and use, as ComputeDriver documents them."""
        engine = self.refresh()
        memory = psutil.virtual_memory()
        disk = _disk_usage(engine.root_directory)
        return {
            'vcpus': engine.cpus,
            'memory_mb': engine.memory_bytes // units.Mi,
            'local_gb': disk.total // units.Gi,
            # The resource tracker computes what servers claim; these are
            # the host's own figures, for what Nova cannot know of.
            'vcpus_used': 0,
            'memory_mb_used': memory.used // units.Mi,
            'local_gb_used': math.ceil(disk.used / units.Gi),
            'disk_available_least': disk.free // units.Gi,
            'hypervisor_type': fields.HVType.DOCKER,
            'hypervisor_version': versionutils.convert_version_to_int(
                _release(engine.version)),
            'hypervisor_hostname': self.name,
            'cpu_info': jsonutils.dumps({'arch': engine.architecture}),
            'numa_topology': None,
            'supported_instances': [(
                fields.Architecture.canonicalize(engine.architecture),
                fields.HVType.DOCKER, fields.VMMode.EXE)],
        }

    def inventory(self, ratios: Mapping[str, float],
                  reserved_disk_gb: int) -> dict[str, _Inventory]:
        """Placement inventory by resource class.

        :param ratios: allocation ratio by resource class
        """
        resource = self.available_resource()
        return {
            orc.VCPU: _inventory(
                resource['vcpus'], CONF.reserved_host_cpus,
                ratios[orc.VCPU]),
            orc.MEMORY_MB: _inventory(
                resource['memory_mb'], CONF.reserved_host_memory_mb,
                ratios[orc.MEMORY_MB]),
            orc.DISK_GB: _inventory(
                resource['local_gb'], reserved_disk_gb,
                ratios[orc.DISK_GB]),
        }

    def traits(self) -> dict[str, bool]:
        """Each trait of ours, and whether the host has it now."""
        return {TRAIT_DOCKER: True,
                TRAIT_ROOT_DISK_LIMIT: self.engine.limits_root_disk}


def _uses_tls() -> bool:
    return bool(CONF.docker.ca_file or CONF.docker.cert_file or
                CONF.docker.api_insecure)


def _can_limit_root_disk(engine: model.EngineInfo) -> bool:
    """Whether the engine enforces ``--storage-opt size``.

    https://docs.docker.com/reference/cli/docker/container/run/#storage-opt
    """
    if engine.storage_driver in ('btrfs', 'zfs'):
        return True
    return (engine.storage_driver == 'overlay2' and
            engine.storage_status.get('Backing Filesystem') == 'xfs' and
            _has_project_quota(engine.root_directory))


def _has_project_quota(directory: str) -> bool:
    """Whether the file system of a directory counts by project."""
    mounts = [mount for mount in psutil.disk_partitions(all=True)
              if os.path.commonpath([mount.mountpoint, directory]) ==
              mount.mountpoint]
    if not mounts:
        return False
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint))
    return bool({'prjquota', 'pquota'} & set(nearest.opts.split(',')))


def _inventory(total: int, reserved: int, ratio: float) -> _Inventory:
    return {'total': total, 'reserved': reserved, 'min_unit': 1,
            'max_unit': total, 'step_size': 1, 'allocation_ratio': ratio}


def _disk_usage(directory: str) -> typing.Any:
    """Of the file system that a directory is on, or is going to be."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return psutil.disk_usage(directory)


def _release(version: str) -> str:
    """``20.10.24`` of a distribution's ``20.10.24+dfsg1``."""
    digits = ''
    for char in version:
        if not (char.isdigit() or char == '.'):
            break
        digits += char
    return digits.strip('.') or '0'
