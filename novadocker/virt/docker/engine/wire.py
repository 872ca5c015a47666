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

"""Engine JSON to and from the model; imported by the client alone.

Only fields that every API version from 1.41 on has are read.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import json
import struct
from typing import Any

from novadocker.virt.docker.engine import model

# The stream's number, padding, and the length of what follows.
_FRAME = struct.Struct('>xxxxL')


def creation(spec: model.ContainerSpec) -> dict[str, Any]:
    """The body of POST /containers/create; what is None is left out."""
    return _given({
        'Image': spec.image,
        'Cmd': list(spec.command) if spec.command else None,
        'Entrypoint': list(spec.entrypoint) if spec.entrypoint else None,
        'Env': ['%s=%s' % item for item in spec.environment.items()],
        'Labels': dict(spec.labels),
        'Hostname': spec.hostname,
        'WorkingDir': spec.working_dir,
        'User': spec.user,
        'Tty': spec.tty,
        'OpenStdin': spec.tty,
        'HostConfig': _host_config(spec),
    })


def _host_config(spec: model.ContainerSpec) -> dict[str, Any]:
    # Swap is memory plus nothing: an absent limit would allow as much again.
    return _given({
        'NetworkMode': spec.network_mode,
        'CgroupnsMode': 'private',
        'RestartPolicy': {'Name': 'no'},
        'Init': spec.init,
        'ReadonlyRootfs': spec.read_only,
        'Privileged': spec.privileged,
        'Runtime': spec.runtime,
        'Memory': spec.memory_bytes or None,
        'MemorySwap': spec.memory_bytes or None,
        'CpuShares': spec.cpu_shares or None,
        'NanoCpus': spec.nano_cpus or None,
        'PidsLimit': spec.pids_limit or None,
        'StorageOpt': ({'size': str(spec.root_bytes)}
                       if spec.root_bytes else None),
        'CapDrop': list(spec.cap_drop),
        'CapAdd': list(spec.cap_add),
        'SecurityOpt': list(spec.security_opt),
        'Ulimits': [{'Name': name, 'Soft': soft, 'Hard': hard}
                    for name, (soft, hard) in sorted(spec.ulimits.items())],
        'Sysctls': dict(spec.sysctls) or None,
        'Binds': ['%s:%s:ro' % item for item in spec.binds.items()] or None,
        'LogConfig': ({'Type': 'json-file', 'Config': dict(spec.log_options)}
                      if spec.log_options else None),
    })


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def filters(**wanted: list[str]) -> dict[str, str]:
    """What a list is asked for; all of it has to match."""
    return {'filters': json.dumps(wanted)}


def labelled(labels: Mapping[str, str]) -> dict[str, str]:
    """The filter for what carries all the labels."""
    return filters(label=['%s=%s' % item for item in labels.items()])


def failure(progress: Mapping[str, Any]) -> str | None:
    """What went wrong, told amid an answer that began well."""
    detail = progress.get('errorDetail') or {}
    return detail.get('message') or progress.get('error')


def twin(answer: Mapping[str, Any], image: str,
         network_owner: str) -> dict[str, Any]:
    """What to POST to create another container like an inspected one.

    Host and domain name are those of the network's owner, and the engine
    refuses a request that names them, or ports, beside such an owner.
    """
    inherited = ('Hostname', 'Domainname', 'MacAddress', 'ExposedPorts')
    config = {key: value for key, value in answer['Config'].items()
              if key not in inherited}
    config['Image'] = image
    config['HostConfig'] = dict(
        answer['HostConfig'], NetworkMode='container:' + network_owner)
    return config


def identity(answer: Mapping[str, Any]) -> str:
    """Of what was made."""
    return str(answer['Id'])


def exit_code(answer: Mapping[str, Any] | None) -> int | None:
    """None without an answer: the container still runs."""
    return int(answer['StatusCode']) if answer else None


def written_bytes(answer: Mapping[str, Any]) -> int:
    return int(answer['SizeRw'])


def container(answer: Mapping[str, Any]) -> model.Container:
    state = answer['State']
    config = answer['Config']
    mode = answer['HostConfig'].get('NetworkMode') or ''
    kind, _colon, owner = mode.partition(':')
    return model.Container(
        id=answer['Id'],
        name=answer['Name'].lstrip('/'),
        state=state['Status'],
        image_id=answer['Image'],
        labels=config.get('Labels') or {},
        pid=state.get('Pid') or 0,
        exit_code=state.get('ExitCode') or 0,
        error=state.get('Error') or '',
        oom_killed=bool(state.get('OOMKilled')),
        started_at=state.get('StartedAt') or '',
        tty=bool(config.get('Tty')),
        network_owner=owner if kind == 'container' else '',
        netns_path=_netns_path(answer),
        resolv_conf_path=answer.get('ResolvConfPath') or '',
        hosts_path=answer.get('HostsPath') or '')


def _netns_path(answer: Mapping[str, Any]) -> str:
    # The engine goes on naming the namespace of a container that stopped.
    if not answer['State'].get('Running'):
        return ''
    return answer['NetworkSettings'].get('SandboxKey') or ''


def container_summary(row: Mapping[str, Any]) -> model.ContainerSummary:
    return model.ContainerSummary(
        id=row['Id'],
        name=row['Names'][0].lstrip('/') if row['Names'] else '',
        state=row['State'],
        image_id=row['ImageID'],
        labels=row['Labels'] or {})


def demultiplexed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What stdout and stderr wrote, of a stream that tells them apart.

    Engine API: POST /containers/{id}/attach, "Stream format"
    """
    pending = bytearray()
    for block in blocks:
        pending += block
        start = 0
        while start + _FRAME.size <= len(pending):
            end = start + _FRAME.size + _FRAME.unpack_from(pending, start)[0]
            if end > len(pending):
                break
            yield bytes(pending[start + _FRAME.size:end])
            start = end
        del pending[:start]


def image_summary(row: Mapping[str, Any]) -> model.Image:
    return model.Image(
        id=row['Id'],
        size_bytes=row['Size'],
        # The engine's word for an image without a name.
        tags=tuple(tag for tag in row['RepoTags'] or ()
                   if tag != '<none>:<none>'),
        labels=row['Labels'] or {})


def image(answer: Mapping[str, Any]) -> model.Image:
    config = answer.get('Config') or {}
    return model.Image(
        id=answer['Id'],
        tags=tuple(answer.get('RepoTags') or ()),
        architecture=answer.get('Architecture') or '',
        os=answer.get('Os') or '',
        size_bytes=answer.get('Size') or 0,
        created=answer.get('Created') or '',
        entrypoint=tuple(config.get('Entrypoint') or ()),
        command=tuple(config.get('Cmd') or ()),
        labels=config.get('Labels') or {})


def engine_info(answer: Mapping[str, Any],
                api_version: str) -> model.EngineInfo:
    return model.EngineInfo(
        version=answer['ServerVersion'],
        api_version=api_version,
        architecture=answer['Architecture'],
        cpus=answer['NCPU'],
        memory_bytes=answer['MemTotal'],
        root_directory=answer['DockerRootDir'],
        storage_driver=answer['Driver'],
        storage_status=dict(answer.get('DriverStatus') or ()),
        cgroup_version=answer.get('CgroupVersion') or '1',
        live_restore=bool(answer.get('LiveRestoreEnabled')),
        runtimes=tuple(sorted(answer.get('Runtimes') or ())),
        security_options=tuple(answer.get('SecurityOptions') or ()))
