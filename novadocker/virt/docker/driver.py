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

"""The façade: Nova's verbs, each forwarded to the room that knows how.

Methods without a docstring do what ``nova.virt.driver.ComputeDriver`` says.
"""

from oslo_log import log as logging

from nova import exception as nova_exception
from nova.virt import driver
from novadocker import conf
from novadocker.i18n import _
from novadocker.virt.docker import containerops
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import hostops
from novadocker.virt.docker import imageops
from novadocker.virt.docker import imagestore
from novadocker.virt.docker import metadataops
from novadocker.virt.docker import networkops
from novadocker.virt.docker import sandboxops
from novadocker.virt.docker import snapshotops

CONF = conf.CONF
LOG = logging.getLogger(__name__)


class DockerDriver(driver.ComputeDriver):
    """Servers as containers of a Docker Engine."""

    capabilities = driver.ComputeDriver.capabilities | {
        'has_imagecache': True,
        'supports_image_type_raw': True,
        'supports_trusted_certs': True,
    }

    def __init__(self, virtapi):
        """Wire the rooms together; no I/O, the engine may be down."""
        super().__init__(virtapi)
        self._client = client.DockerClient(
            CONF.docker.host_url, tls=_tls_options(),
            timeout_s=CONF.docker.api_timeout,
            stream_timeout_s=CONF.docker.stream_timeout or None)
        self._host = hostops.HostOps(self._client)
        self._sandboxes = sandboxops.SandboxOps(self._client)
        store = imagestore.ImageStore()
        self._images = imageops.ImageOps(
            self._client, self._host, store)
        self._snapshots = snapshotops.SnapshotOps(
            self._client, self._host, store)
        self._networks = networkops.NetworkOps(virtapi)
        self._containers = containerops.ContainerOps(
            self._client, self._host, self._sandboxes, self._images,
            self._networks, metadataops.MetadataOps(self._client))

    # Service

    def init_host(self, host):
        self._host.connect(host)
        self._host.measure(self._sandboxes.ensure_image())
        self._snapshots.finish_interrupted()
        self._networks.prepare_host()

    def cleanup_host(self, host):
        self._client.close()

    # Host

    def get_available_nodes(self, refresh=False):
        return [self._host.name]

    def get_available_resource(self, nodename):
        return self._host.available_resource()

    def update_provider_tree(self, provider_tree, nodename,
                             allocations=None):
        ratios = self._get_allocation_ratios(
            provider_tree.data(nodename).inventory)
        provider_tree.update_inventory(nodename, self._host.inventory(
            ratios, self._get_reserved_host_disk_gb_from_config()))
        traits = self._host.traits()
        provider_tree.add_traits(
            nodename, *(name for name, has in traits.items() if has))
        provider_tree.remove_traits(
            nodename, *(name for name, has in traits.items() if not has))

    def get_host_uptime(self):
        return self._host.uptime()

    def get_host_ip_addr(self):
        return CONF.my_ip

    # Servers: looking

    def get_info(self, instance, use_cache=True):
        return self._containers.info(instance, use_cache)

    def instance_exists(self, instance):
        return self._containers.exists(instance)

    def list_instances(self):
        return self._containers.list_names()

    def list_instance_uuids(self):
        return self._containers.list_uuids()

    def get_num_instances(self):
        return len(self._containers.list_uuids())

    def instance_on_disk(self, instance):
        """Containers never share their file systems between hosts."""
        return False

    def get_console_output(self, context, instance):
        return self._containers.console_log(instance)

    # Servers: life cycle

    def spawn(self, context, instance, image_meta, injected_files,
              admin_password, allocations, network_info=None,
              block_device_info=None, power_on=True, accel_info=None):
        self._containers.spawn(
            context, instance, image_meta, injected_files, admin_password,
            network_info, block_device_info, power_on)

    def destroy(self, context, instance, network_info,
                block_device_info=None, destroy_disks=True,
                destroy_secrets=True):
        self._containers.destroy(instance, network_info, destroy_disks)

    def cleanup(self, context, instance, network_info,
                block_device_info=None, destroy_disks=True,
                migrate_data=None, destroy_vifs=True, destroy_secrets=True):
        self._containers.destroy(
            instance, network_info if destroy_vifs else [], destroy_disks)

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._containers.power_off(instance, timeout)

    def power_on(self, context, instance, network_info,
                 block_device_info=None, accel_info=None, share_info=None):
        self._containers.power_on(instance, network_info)

    def reboot(self, context, instance, network_info, reboot_type,
               block_device_info=None, bad_volumes_callback=None,
               accel_info=None, share_info=None):
        if reboot_type == 'SOFT':
            self._containers.reboot_soft(instance, network_info)
        else:
            self._containers.reboot_hard(instance, network_info)

    def poll_rebooting_instances(self, timeout, instances):
        """A reboot is over when reboot() returns; none is left to poll."""

    def resume_state_on_host_boot(self, context, instance, network_info,
                                  share_info, block_device_info=None):
        self._containers.power_on(instance, network_info)

    def pause(self, instance):
        self._containers.pause(instance)

    def unpause(self, instance):
        self._containers.unpause(instance)

    # Networks

    def plug_vifs(self, instance, network_info):
        self._containers.plug(instance, network_info)

    def unplug_vifs(self, instance, network_info):
        self._containers.unplug(instance, network_info)

    # Images

    def snapshot(self, context, instance, image_id, update_task_state):
        self._snapshots.snapshot(context, instance, image_id,
                                 update_task_state)

    def cache_image(self, context, image_id):
        return self._images.cache(context, image_id)

    def manage_image_cache(self, context, all_instances):
        self._images.prune(all_instances)

    # Refused. NotImplementedError would leave the server in ERROR.

    def check_can_live_migrate_destination(
            self, context, instance, src_compute_info, dst_compute_info,
            block_migration=False, disk_over_commit=False):
        raise nova_exception.MigrationPreCheckError(reason=_(
            'containers cannot be moved while they run; stop the server and '
            'migrate it cold'))

    def trigger_crash_dump(self, instance):
        raise nova_exception.TriggerCrashDumpNotSupported()


def _tls_options() -> model.Tls | None:
    """How the engine is known; None for no TLS.

    :raises: InvalidConfiguration for half a key pair
    """
    options = CONF.docker
    if bool(options.cert_file) != bool(options.key_file):
        raise nova_exception.InvalidConfiguration(
            'Set both [docker]cert_file and [docker]key_file, or neither.')
    if not (options.ca_file or options.cert_file or options.api_insecure):
        return None
    return model.Tls(options.ca_file, options.cert_file, options.key_file,
                     verify=not options.api_insecure)
