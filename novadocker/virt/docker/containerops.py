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

"""The stories: how a server comes, goes, and changes its power state.

A server is two containers, its sandbox and its workload. Building up is
undone step by step on failure; teardown runs every step and takes "already
gone" for success. A start that fails never costs the user's data.
"""

from concurrent import futures
import typing

from oslo_log import log as logging
from oslo_utils import timeutils

from nova.compute import power_state
from nova import context as nova_context
from nova import exception as nova_exception
from nova.network import model as network_model
from nova import objects
from nova.virt import hardware
from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker import buildfaults
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import policy
from novadocker.virt.docker import hostops
from novadocker.virt.docker import imageops
from novadocker.virt.docker import imagevolumes
from novadocker.virt.docker import inventory
from novadocker.virt.docker import metadataops
from novadocker.virt.docker import names
from novadocker.virt.docker import networkops
from novadocker.virt.docker import recovery
from novadocker.virt.docker import rollback
from novadocker.virt.docker import sandboxops
from novadocker.virt.docker import spec

CONF = conf.CONF
LOG = logging.getLogger(__name__)

CONSOLE_LOG_BYTES = 100 * 1024

# Pairs of path and content.
_Files = list[tuple[str, bytes]]

_POWER_STATES = {
    model.CREATED: power_state.SHUTDOWN,
    model.RUNNING: power_state.RUNNING,
    model.RESTARTING: power_state.RUNNING,
    model.PAUSED: power_state.PAUSED,
    model.EXITED: power_state.SHUTDOWN,
    model.DEAD: power_state.CRASHED,
    model.REMOVING: power_state.NOSTATE,
}

# Nova keeps 255 characters of a fault, of which its own words take 70.
_FAULT_LOG_BYTES = 110


class ContainerOps:
    """The ops that the stories call on, and how what is lost comes back."""

    def __init__(self, engine: client.DockerClient, host: hostops.HostOps,
                 containers: inventory.Inventory,
                 lost: recovery.Recovery,
                 sandboxes: sandboxops.SandboxOps,
                 images: imageops.ImageOps,
                 networks: networkops.NetworkOps,
                 metadata: metadataops.MetadataOps):
        self._client = engine
        self._host = host
        self._inventory = containers
        self._recovery = lost
        self._sandboxes = sandboxes
        self._images = images
        self._networks = networks
        self._metadata = metadata

    # Building up and tearing down

    def spawn(self, context: nova_context.RequestContext,
              instance: 'objects.Instance',
              image_meta: 'objects.ImageMeta',
              injected_files: _Files, admin_password: str | None,
              network_info: network_model.NetworkInfo,
              block_device_info: dict[str, typing.Any] | None,
              power_on: bool = True) -> None:
        """Create and start; on any error the host is as it was before.

        :param injected_files: pairs of path and content in bytes
        :raises: InstanceExists; BuildAbortException and the other
            exceptions that Nova does not retry if no host could do better
        """
        spec.refuse_unsupported(instance, image_meta, block_device_info)
        watch = timeutils.StopWatch()
        self._recovery.make_room(instance)
        with watch, self._inventory.changing(instance), \
                buildfaults.give_up(instance), self._images.held(
                    context, instance, image_meta) as image:
            with rollback.Rollback(instance) as undo:
                sandbox, workload = self._create(
                    context, instance, image, undo)
                self._connect(instance, network_info, sandbox, undo)
                with buildfaults.blamed_on_the_server(instance):
                    imagevolumes.ensure(self._client, workload, image)
                    self._metadata.write(instance, workload, network_info,
                                         injected_files, admin_password)
                    if power_on:
                        policy.start(self._client, workload)
                if power_on:
                    self._check_alive(instance, workload)
        LOG.info('Spawned in %.2f s', watch.elapsed(), instance=instance)

    def _create(self, context: nova_context.RequestContext,
                instance: 'objects.Instance', image: model.Image,
                undo: rollback.Rollback) -> tuple[model.Container, str]:
        """The sandbox, running, and the id of the workload, not started.

        Neutron's answer is awaited when network_info is first looked at, so
        all that can be made without it is made here, before.
        """
        properties = self._images.properties(context, instance)
        undo.push('remove metadata', self._metadata.remove, instance)
        binds = self._metadata.prepare(instance)
        undo.push('remove sandbox', self._remove_all_but_disk, instance)
        sandbox = self._sandboxes.create(instance, self._host.name)
        undo.push('remove workload', self._remove_disk, instance)
        wanted = spec.workload(instance, self._host.name, image, properties,
                               sandbox, self._host.engine, binds)
        # Starting a sandbox is the longest step, as the kernel makes a
        # namespace; a workload can be created for one that does not run.
        with futures.ThreadPoolExecutor(max_workers=1) as beside:
            workload = beside.submit(self._client.create, wanted)
            running = self._sandboxes.start(sandbox)
            with buildfaults.blamed_on_the_server(instance):
                return running, workload.result()

    def _connect(self, instance: 'objects.Instance',
                 network_info: network_model.NetworkInfo,
                 sandbox: model.Container,
                 undo: rollback.Rollback) -> None:
        buildfaults.await_networks(instance, network_info)
        undo.push('unplug', self._networks.unplug_all, instance,
                  network_info)
        with self._networks.wait_until_wired(instance, network_info):
            self._networks.plug_all(instance, network_info, sandbox)

    def _check_alive(self, instance: 'objects.Instance',
                     workload: str) -> None:
        grace_s = CONF.docker.start_grace_period
        if not grace_s:
            return
        exit_code = self._client.wait(workload, grace_s)
        if exit_code is None:
            return
        log = policy.log_end(self._client, workload, _FAULT_LOG_BYTES)
        raise nova_exception.BuildAbortException(
            instance_uuid=instance.uuid,
            reason=_('the process exited at once with code %(code)d; its '
                     'log ends: %(log)s') % {
                         'code': exit_code, 'log': _one_line(log)})

    def destroy(self, instance: 'objects.Instance',
                network_info: network_model.NetworkInfo,
                destroy_disks: bool = True) -> None:
        """Idempotent; one failed step does not keep the others from running.

        :param destroy_disks: False keeps the workload, stopped
        """
        with self._inventory.changing(instance), \
                rollback.each_step(instance) as step:
            if destroy_disks:
                step('remove workload', self._remove_disk, instance)
            else:
                step('stop workload', self._stop_if_present, instance)
            step('unplug', self._networks.unplug_all, instance, network_info)
            step('remove sandbox', self._remove_all_but_disk, instance)
            if destroy_disks:
                step('remove images', self._recovery.remove_disk_images,
                     instance)
                step('remove metadata', self._metadata.remove, instance)

    def _stop_if_present(self, instance: 'objects.Instance') -> None:
        container = self._inventory.server(instance).workload
        if container:
            self._client.stop(container.id, 0)

    # Power

    def power_off(self, instance: 'objects.Instance',
                  timeout_s: int) -> None:
        """Ask the process to end, and kill it if it has not in time.

        A server whose container is gone is off; Nova asks for this before
        it rebuilds one.

        :raises: InstancePowerOffFailure, EngineUnavailable
        """
        with self._inventory.changing(instance):
            container = self._inventory.server(instance).workload
            if container is not None:
                self._stop(container, timeout_s)

    def _stop(self, container: model.ContainerSummary,
              timeout_s: int) -> None:
        try:
            if container.state == model.PAUSED:
                self._client.unpause(container.id)
            self._client.stop(container.id, timeout_s)
        except exception.EngineUnavailable:
            raise
        except exception.EngineError as err:
            raise nova_exception.InstancePowerOffFailure(
                reason=err.format_message()) from err

    def power_on(self, instance: 'objects.Instance',
                 network_info: network_model.NetworkInfo) -> None:
        """Plug and start; harmless when the server runs already.

        Nothing is removed if it fails.

        :raises: DiskLost
        """
        with self._inventory.changing(instance):
            server = self._recovery.settled(instance)
            container = server.disk
            sandbox = self._running_sandbox(instance, network_info, server)
            container = self._recovery.bound(instance, container, sandbox)
            self._networks.plug_all(instance, network_info, sandbox)
            if container.state == model.PAUSED:
                self._client.unpause(container.id)
            else:
                policy.start(self._client, container.id)

    def _running_sandbox(self, instance: 'objects.Instance',
                         network_info: network_model.NetworkInfo,
                         server: inventory.Server) -> model.Container:
        """The sandbox; where its namespace is lost, nothing is plugged.

        The veths went with the namespace, but Open vSwitch keeps their
        ports, and on the userspace datapath it goes on to use the lost
        device even when another of its name is made.
        """
        sandbox = self._sandboxes.find_running(server)
        if sandbox is not None:
            return sandbox
        self._networks.unplug_all(instance, network_info)
        return self._sandboxes.revive(instance, self._host.name, server)

    def reboot_soft(self, instance: 'objects.Instance',
                    network_info: network_model.NetworkInfo) -> None:
        """Stop as power_off does and start; else reboot hard."""
        try:
            self.power_off(instance, CONF.shutdown_timeout)
            self.power_on(instance, network_info)
        except exception.EngineUnavailable:
            raise
        except (exception.EngineError,
                nova_exception.InstancePowerOffFailure) as err:
            LOG.warning('Soft reboot failed (%s), rebooting hard', err,
                        instance=instance)
            self.reboot_hard(instance, network_info)

    def reboot_hard(self, instance: 'objects.Instance',
                    network_info: network_model.NetworkInfo) -> None:
        """Kill, plug anew and start, whatever the state was.

        :raises: DiskLost
        """
        self.power_off(instance, 0)
        self._networks.unplug_all(instance, network_info)
        self.power_on(instance, network_info)

    # Pause

    def pause(self, instance: 'objects.Instance') -> None:
        """Freeze; harmless when frozen already.

        :raises: DiskLost
        """
        with self._inventory.changing(instance):
            container = self._inventory.server(instance).disk
            if container.state != model.PAUSED:
                self._client.pause(container.id)

    def unpause(self, instance: 'objects.Instance') -> None:
        """Thaw; harmless when not frozen.

        :raises: DiskLost
        """
        with self._inventory.changing(instance):
            container = self._inventory.server(instance).disk
            if container.state == model.PAUSED:
                self._client.unpause(container.id)

    # Networks

    def plug(self, instance: 'objects.Instance',
             network_info: network_model.NetworkInfo) -> None:
        """Plug the ports of a server that runs; nothing for a stopped one.

        A stopped server gets its ports when it is started. Without a port
        nothing is done either: Nova asks with what it has cached, and a cache
        that was lost would take a running server off its networks.

        :raises: VirtualInterfacePlugException, the only one that leaves
            nova-compute's start to the other servers
        """
        if not network_info:
            return
        try:
            sandbox = self._sandbox_in_use(instance)
        except exception.EngineError as err:
            raise nova_exception.VirtualInterfacePlugException(
                _('Cannot plug the ports of the server: %s') %
                err.format_message()) from err
        if sandbox is not None:
            self._networks.plug_all(instance, network_info, sandbox)

    def _sandbox_in_use(self, instance: 'objects.Instance') -> (
            model.Container | None):
        server = self._inventory.server(instance)
        if server.workload is None or server.workload.state not in (
                model.RUNNING, model.PAUSED):
            return None
        return self._sandboxes.find_running(server)

    def unplug(self, instance: 'objects.Instance',
               network_info: network_model.NetworkInfo) -> None:
        """Idempotent."""
        self._networks.unplug_all(instance, network_info)

    # Looking

    def info(self, instance: 'objects.Instance',
             use_cache: bool) -> hardware.InstanceInfo:
        """Power state; from a list a few seconds old if ``use_cache``.

        :raises: InstanceNotFound; EngineUnavailable, so that a lost engine
            is not taken for lost servers
        """
        found = self._inventory.server(instance, use_cache).workload
        if found is None:
            raise nova_exception.InstanceNotFound(instance_id=instance.uuid)
        return hardware.InstanceInfo(
            state=_POWER_STATES[found.state], internal_id=found.id)

    def exists(self, instance: 'objects.Instance') -> bool:
        """Whether the server's file system is on this host."""
        return self._inventory.server(instance).workload is not None

    def list_names(self) -> list[str]:
        """Nova's names of the servers on this host, in any state."""
        return sorted({container.labels[names.LABEL_NAME]
                       for server in self._inventory.servers().values()
                       for container in server.containers})

    def list_uuids(self) -> list[str]:
        """Servers with any container here, be it a sandbox left behind."""
        return sorted(self._inventory.servers())

    def console_log(self, instance: 'objects.Instance') -> bytes:
        """The end of what the server's process wrote.

        :raises: ConsoleNotAvailable
        """
        try:
            return policy.log_end(
                self._client, self._inventory.server(instance).disk.id,
                CONSOLE_LOG_BYTES)
        except (inventory.DiskLost, exception.NotFound) as err:
            raise nova_exception.ConsoleNotAvailable(
                err.format_message()) from err

    def _remove_disk(self, instance: 'objects.Instance') -> None:
        # Oldest first: without what replaces it, one would be the disk.
        with rollback.each_step(instance) as step:
            for container in reversed(
                    self._inventory.server(instance).workloads):
                step('remove %s' % container.name, self._recovery.remove,
                     container)

    def _remove_all_but_disk(self, instance: 'objects.Instance') -> None:
        server = self._inventory.server(instance)
        with rollback.each_step(instance) as step:
            for container in server.containers:
                if container != server.workload:
                    step('remove %s' % container.name,
                         self._recovery.remove, container)


def _one_line(log: bytes) -> str:
    text = log.decode('utf-8', 'replace')
    return ' | '.join(line.strip() for line in text.splitlines()
                      if line.strip()) or _('nothing')
