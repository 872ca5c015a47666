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
import contextlib
import time

from oslo_log import log as logging
from oslo_utils import timeutils

from nova.compute import power_state
from nova import exception as nova_exception
from nova.virt import hardware
from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import inventory
from novadocker.virt.docker import names
from novadocker.virt.docker import rollback
from novadocker.virt.docker import spec

CONF = conf.CONF
LOG = logging.getLogger(__name__)

CONSOLE_LOG_BYTES = 100 * 1024

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
_REMOVAL_TIMEOUT_S = 30.0
_REMOVAL_POLL_S = 0.1


class ContainerOps:
    """:param host: HostOps; the other arguments likewise are the ops that
    the stories call on
    """

    def __init__(self, client, host, containers, sandboxes, images, networks,
                 metadata):
        self._client = client
        self._host = host
        self._inventory = containers
        self._sandboxes = sandboxes
        self._images = images
        self._networks = networks
        self._metadata = metadata

    # Building up and tearing down

    def spawn(self, context, instance, image_meta, injected_files,
              admin_password, network_info, block_device_info,
              power_on=True) -> None:
        """Create and start; on any error the host is as it was before.

        :param injected_files: pairs of path and content in bytes
        :raises: InstanceExists; BuildAbortException and the other
            exceptions that Nova does not retry if no host could do better
        """
        spec.refuse_unsupported(instance, image_meta, block_device_info)
        if self.exists(instance):
            raise nova_exception.InstanceExists(name=instance.name)
        watch = timeutils.StopWatch()
        with watch, self._inventory.changing(instance), \
                _abort_if_hopeless(instance), self._images.held(
                    context, instance, image_meta) as image:
            with rollback.Rollback(instance) as undo:
                sandbox, workload = self._create(
                    context, instance, image, undo)
                self._connect(instance, network_info, sandbox, undo)
                self._metadata.write(instance, workload, network_info,
                                     injected_files, admin_password)
                if power_on:
                    self._client.start(workload)
                    self._check_alive(instance, workload)
        LOG.info('Spawned in %.2f s', watch.elapsed(), instance=instance)

    def _create(self, context, instance, image, undo):
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
            return self._sandboxes.start(sandbox), workload.result()

    def _connect(self, instance, network_info, sandbox, undo) -> None:
        undo.push('unplug', self._networks.unplug_all, instance,
                  network_info)
        with self._networks.wait_until_wired(instance, network_info):
            self._networks.plug_all(instance, network_info, sandbox)

    def _check_alive(self, instance, workload: str) -> None:
        grace_s = CONF.docker.start_grace_period
        if not grace_s:
            return
        exit_code = self._client.wait(workload, grace_s)
        if exit_code is None:
            return
        log = self._client.logs(workload, _FAULT_LOG_BYTES)
        raise nova_exception.BuildAbortException(
            instance_uuid=instance.uuid,
            reason=_('the process exited at once with code %(code)d; its '
                     'log ends: %(log)s') % {
                         'code': exit_code, 'log': _one_line(log)})

    def destroy(self, instance, network_info, destroy_disks=True) -> None:
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
                step('remove metadata', self._metadata.remove, instance)

    def _stop_if_present(self, instance) -> None:
        container = self._inventory.server(instance).workload
        if container:
            self._client.stop(container.id, 0)

    # Power

    def power_off(self, instance, timeout_s: int) -> None:
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

    def power_on(self, instance, network_info) -> None:
        """Plug and start; harmless when the server runs already.

        Nothing is removed if it fails.

        :raises: DiskLost
        """
        with self._inventory.changing(instance):
            container = self._inventory.workload(instance)
            sandbox = self._running_sandbox(instance, network_info)
            container = self._in_sandbox(instance, container, sandbox)
            self._networks.plug_all(instance, network_info, sandbox)
            if container.state == model.PAUSED:
                self._client.unpause(container.id)
            else:
                self._client.start(container.id)

    def _running_sandbox(self, instance, network_info) -> model.Container:
        """The sandbox; where its namespace is lost, nothing is plugged.

        The veths went with the namespace, but Open vSwitch keeps their
        ports, and on the userspace datapath it goes on to use the lost
        device even when another of its name is made.
        """
        server = self._inventory.server(instance)
        sandbox = self._sandboxes.find_running(server)
        if sandbox is not None:
            return sandbox
        self._networks.unplug_all(instance, network_info)
        return self._sandboxes.revive(instance, self._host.name, server)

    def reboot_soft(self, instance, network_info) -> None:
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

    def reboot_hard(self, instance, network_info) -> None:
        """Kill, plug anew and start, whatever the state was.

        :raises: DiskLost
        """
        self.power_off(instance, 0)
        self._networks.unplug_all(instance, network_info)
        self.power_on(instance, network_info)

    def _in_sandbox(self, instance, container: model.ContainerSummary,
                    sandbox: model.Container) -> model.ContainerSummary:
        """The workload as a member of this sandbox, losing nothing.

        The engine binds a workload to a sandbox for life. One whose sandbox
        was removed by hand is made again from its own file system.
        """
        if container.network_owner == sandbox.id:
            return container
        LOG.warning('The sandbox that the server was bound to is gone; '
                    'moving its file system to a new container',
                    instance=instance)
        return self._rebind(instance, container, sandbox)

    def _rebind(self, instance, container, sandbox) -> model.Container:
        image = self._client.commit(container.id, {})
        replaced = names.workload(instance.uuid) + '-replaced'
        with rollback.Rollback(instance) as undo:
            undo.push('remove committed image', self._client.remove_image,
                      image)
            self._client.stop(container.id, 0)
            self._client.rename(container.id, replaced)
            undo.push('rename back', self._client.rename, container.id,
                      container.name)
            new = self._client.recreate(
                container.id, container.name, image, sandbox.id, {})
        self._client.remove(container.id)
        return self._client.get_container(new)

    # Pause

    def pause(self, instance) -> None:
        """Freeze; harmless when frozen already."""
        with self._inventory.changing(instance):
            container = self._inventory.workload(instance)
            if container.state != model.PAUSED:
                self._client.pause(container.id)

    def unpause(self, instance) -> None:
        """Thaw; harmless when not frozen."""
        with self._inventory.changing(instance):
            container = self._inventory.workload(instance)
            if container.state == model.PAUSED:
                self._client.unpause(container.id)

    # Networks

    def plug(self, instance, network_info) -> None:
        """Plug the ports of a server that runs; nothing for a stopped one.

        A stopped server gets its ports when it is started.
        """
        server = self._inventory.server(instance)
        if server.workload is None or server.workload.state not in (
                model.RUNNING, model.PAUSED):
            return
        sandbox = self._sandboxes.find_running(server)
        if sandbox is not None:
            self._networks.plug_all(instance, network_info, sandbox)

    def unplug(self, instance, network_info) -> None:
        """Idempotent."""
        self._networks.unplug_all(instance, network_info)

    # Looking

    def info(self, instance, use_cache: bool) -> hardware.InstanceInfo:
        """Power state; from a list a few seconds old if ``use_cache``.

        :raises: InstanceNotFound; EngineUnavailable, so that a lost engine
            is not taken for lost servers
        """
        found = self._inventory.server(instance, use_cache).workload
        if found is None:
            raise nova_exception.InstanceNotFound(instance_id=instance.uuid)
        return hardware.InstanceInfo(
            state=_POWER_STATES[found.state], internal_id=found.id)

    def exists(self, instance) -> bool:
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

    def console_log(self, instance) -> bytes:
        """The end of what the server's process wrote.

        :raises: ConsoleNotAvailable
        """
        try:
            return self._client.logs(
                self._inventory.workload(instance).id, CONSOLE_LOG_BYTES)
        except (inventory.DiskLost, exception.NotFound) as err:
            raise nova_exception.ConsoleNotAvailable(
                err.format_message()) from err

    def _remove_disk(self, instance) -> None:
        container = self._inventory.server(instance).workload
        if container is None:
            return
        self._remove(container)
        self._images.remove_if_untagged(container.image_id)

    def _remove_all_but_disk(self, instance) -> None:
        server = self._inventory.server(instance)
        with rollback.each_step(instance) as step:
            for container in server.containers:
                if container != server.workload:
                    step('remove %s' % container.name, self._remove,
                         container)

    def _remove(self, container: model.ContainerSummary) -> None:
        try:
            self._client.remove(container.id)
        except exception.NotFound:
            return
        except exception.Conflict:
            self._wait_until_removed(container.id)

    def _wait_until_removed(self, container: str) -> None:
        """See a removal through that somebody else began."""
        deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
        while self._client.find_container(container):
            if time.monotonic() > deadline:
                raise exception.Conflict(reason=_(
                    'container %s is not removed in time') % container)
            time.sleep(_REMOVAL_POLL_S)


@contextlib.contextmanager
def _abort_if_hopeless(instance):
    """Give up with the reason, where Nova would go on or hide it.

    No host could run what InvalidSpec and Conflict are about. Of a port that
    cannot be plugged Nova tells the user only that networks failed. An
    InstanceNotFound amid a build would be taken for "deleted by the user",
    who would never see a fault.
    """
    try:
        yield
    except (exception.InvalidSpec, exception.Conflict,
            nova_exception.VirtualInterfaceCreateException,
            nova_exception.InstanceNotFound) as err:
        raise nova_exception.BuildAbortException(
            instance_uuid=instance.uuid, reason=err.format_message()) from err


def _one_line(log: bytes) -> str:
    text = log.decode('utf-8', 'replace')
    return ' | '.join(line.strip() for line in text.splitlines()
                      if line.strip()) or _('nothing')
