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

"""Instance, flavor and image turned into what the engine is told.

Pure functions, each for one aspect. A tenant chooses the image, its
properties, the server's metadata and name; the operator chooses the flavor
and nova.conf. Only the operator's choices relax a security default.
"""

from collections.abc import Mapping
import dataclasses
import os
import typing

from oslo_utils import units

from nova import exception
from nova import objects
from nova.virt import driver
from novadocker import conf
from novadocker import extra_specs
from novadocker.i18n import _
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import names
from novadocker.virt.docker import process
from novadocker.virt.docker import seccomp

CONF = conf.CONF

# What programs commonly need to drop their own privileges and to serve.
# Beyond these a container could forge packets, make device nodes or worse.
CAPABILITIES = (
    'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL',
    'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID',
    'SYS_CHROOT')

# Programs that close every descriptor on start take minutes with a high one.
NOFILE_SOFT_LIMIT = 1024

# Neutron gave the addresses, so the kernel need neither listen for routers
# nor wait out duplicate address detection before the first packet.
_SANDBOX_SYSCTLS_IPV6 = {
    'net.ipv6.conf.all.disable_ipv6': '0',
    'net.ipv6.conf.default.disable_ipv6': '0',
    'net.ipv6.conf.default.accept_ra': '0',
    'net.ipv6.conf.default.accept_dad': '0',
}
# Every group may ping, by datagrams, without CAP_NET_RAW. Left to itself one
# engine allows it, another does not; one with a user namespace has no group
# beyond these.
_SANDBOX_SYSCTLS = {'net.ipv4.ping_group_range': '0 65535'}
# The program takes next to nothing, but the runtime that starts it runs under
# these limits too: ten MiB and some threads.
_SANDBOX_MEMORY_BYTES = 64 * units.Mi
_SANDBOX_PIDS_LIMIT = 64

# HOST_NAME_MAX of Linux.
_HOSTNAME_BYTES = 64


def sandbox(instance: 'objects.Instance', host: str,
            image: str) -> model.ContainerSpec:
    """The container that holds the server's network namespace."""
    return model.ContainerSpec(
        name=names.sandbox(instance.uuid),
        image=image,
        labels=labels(instance, host, names.ROLE_SANDBOX),
        network_mode='none',
        hostname=_hostname(instance.hostname),
        read_only=True,
        memory_bytes=_SANDBOX_MEMORY_BYTES,
        pids_limit=_SANDBOX_PIDS_LIMIT,
        security_opt=('no-new-privileges',),
        sysctls=_sandbox_sysctls(),
        log_options=_log_options())


def workload(instance: 'objects.Instance', host: str, image: model.Image,
             properties: Mapping[str, str], sandbox_id: str,
             engine: model.EngineInfo,
             binds: Mapping[str, str]) -> model.ContainerSpec:
    """The container that runs the user's process.

    :param properties: Glance image properties, as the image's owner set
        them
    :param binds: directories of the server's own to mount, host's path to
        container's
    :raises: ImageUnacceptable for a property of the image that makes no
        sense, InvalidInput for one of the flavor
    """
    specs = instance.flavor.extra_specs
    wanted = process.of(image, properties, _environment(instance))
    privileged = _privileged(specs)
    return model.ContainerSpec(
        name=names.workload(instance.uuid),
        image=image.id,
        labels=labels(instance, host, names.ROLE_WORKLOAD),
        network_mode='container:%s' % sandbox_id,
        **dataclasses.asdict(wanted),
        tty=True,
        privileged=privileged,
        runtime=_runtime(specs, engine),
        memory_bytes=instance.flavor.memory_mb * units.Mi,
        cpu_shares=instance.flavor.vcpus * 1024,
        nano_cpus=min(instance.flavor.vcpus, engine.cpus) * 10 ** 9,
        pids_limit=extra_specs.integer(
            specs, extra_specs.PIDS_LIMIT, CONF.docker.pids_limit),
        root_bytes=_root_bytes(instance, engine),
        cap_drop=() if privileged else ('ALL',),
        cap_add=() if privileged else _capabilities(specs),
        security_opt=_security_options(specs, engine, privileged),
        ulimits=_ulimits(specs, engine),
        log_options=_log_options(),
        binds=binds)


def labels(instance: 'objects.Instance', host: str,
           role: str) -> dict[str, str]:
    """How the driver finds its containers again, and operators read them."""
    return {
        names.LABEL_UUID: instance.uuid,
        names.LABEL_NAME: instance.name,
        names.LABEL_DISPLAY_NAME: names.label_text(instance.display_name),
        names.LABEL_PROJECT_ID: instance.project_id or '',
        names.LABEL_USER_ID: instance.user_id or '',
        names.LABEL_HOST: host,
        names.LABEL_ROLE: role,
        names.LABEL_IMAGE: instance.image_ref or '',
        names.LABEL_FLAVOR: instance.flavor.name,
    }


def _hostname(name: str | None) -> str | None:
    """What sethostname(2) takes of a name; /etc/hosts has all of it.

    The engine chooses one for a server that has none in Nova's database.
    """
    if not name or len(name.encode()) <= _HOSTNAME_BYTES:
        return name
    short = name.partition('.')[0].encode()[:_HOSTNAME_BYTES]
    return short.decode(errors='ignore')


def refuse_unsupported(instance: 'objects.Instance',
                       image_meta: 'objects.ImageMeta',
                       block_device_info: Mapping[str, typing.Any] | None
                       ) -> None:
    """Refuse what a container can never be, before anything is made.

    :raises: BuildAbortException, which Nova neither retries nor hides
    """
    reason = None
    flavor = instance.flavor
    if not instance.image_ref:
        reason = _('a container cannot boot from a volume; boot it from an '
                   'image')
    elif driver.block_device_info_get_mapping(block_device_info):
        reason = _('volumes cannot be attached to containers; boot without '
                   'them')
    elif image_meta.properties.get('hw_firmware_type') == 'uefi':
        reason = _('containers have no firmware; remove hw_firmware_type '
                   'from the image')
    elif flavor.swap or flavor.ephemeral_gb:
        reason = _('flavor %s asks for swap or an ephemeral disk, which '
                   'containers do not get; choose a flavor without') % (
                       flavor.name)
    elif flavor.extra_specs.get('hw:tpm_version'):
        reason = _('containers have no TPM; choose a flavor without '
                   'hw:tpm_version')
    if reason:
        raise exception.BuildAbortException(
            instance_uuid=instance.uuid, reason=reason)


def _root_bytes(instance: 'objects.Instance',
                engine: model.EngineInfo) -> int:
    if not engine.limits_root_disk:
        return 0
    return int(instance.flavor.root_gb * units.Gi)


def _environment(instance: 'objects.Instance') -> Mapping[str, str]:
    return instance.metadata if CONF.docker.metadata_as_environment else {}


def _privileged(specs: Mapping[str, str]) -> bool:
    return CONF.docker.privileged and extra_specs.boolean(
        specs, extra_specs.PRIVILEGED, False)


def _capabilities(specs: Mapping[str, str]) -> tuple[str, ...]:
    if extra_specs.boolean(specs, extra_specs.NET_RAW, False):
        return CAPABILITIES + ('NET_RAW',)
    return CAPABILITIES


def _security_options(specs: Mapping[str, str], engine: model.EngineInfo,
                      privileged: bool) -> tuple[str, ...]:
    profile = None if privileged else seccomp.profile(engine)
    options = ['seccomp=' + profile] if profile else []
    if extra_specs.boolean(specs, extra_specs.NO_NEW_PRIVILEGES, True):
        options.append('no-new-privileges')
    return tuple(options)


def _ulimits(specs: Mapping[str, str],
             engine: model.EngineInfo) -> dict[str, tuple[int, int]]:
    hard = extra_specs.integer(
        specs, extra_specs.NOFILE_LIMIT, engine.nofile_limit)
    return {'core': (0, 0), 'nofile': (min(NOFILE_SOFT_LIMIT, hard), hard)}


def _runtime(specs: Mapping[str, str],
             engine: model.EngineInfo) -> str | None:
    runtime = specs.get(extra_specs.RUNTIME)
    if runtime and runtime not in engine.runtimes:
        raise exception.InvalidInput(reason=_(
            'flavor extra spec %(key)s asks for runtime "%(runtime)s", but '
            'the engine has only %(known)s') % {
                'key': extra_specs.RUNTIME, 'runtime': runtime,
                'known': ', '.join(engine.runtimes)})
    return runtime


def _log_options() -> dict[str, str]:
    return {'max-size': '%dm' % CONF.docker.log_max_size,
            'max-file': str(CONF.docker.log_max_files)}


def _sandbox_sysctls() -> dict[str, str]:
    # A kernel without IPv6 has no such sysctls, and the engine refuses them.
    if os.path.isdir('/proc/sys/net/ipv6'):
        return {**_SANDBOX_SYSCTLS, **_SANDBOX_SYSCTLS_IPV6}
    return _SANDBOX_SYSCTLS
