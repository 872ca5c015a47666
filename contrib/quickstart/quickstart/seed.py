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


"""What a user finds in a new cloud: networks, flavors, image, first server.

Runs in the cloud's virtualenv: python -m quickstart.seed DIRECTORY
Each thing is looked for first, so that a second run only repairs.
"""

import datetime
import pathlib
import sys
import time

import openstack

from quickstart import catalogue
from quickstart import names
from quickstart import services
from quickstart import settings as settings_

_PATIENCE_S = 180


def seed(settings) -> None:
    """Make everything a demonstration needs; prints what it is doing."""
    admin = catalogue.connect(settings)
    demo = catalogue.connect(settings, 'quickstart')
    _wait_for_compute(admin, settings)
    _flavors(admin)
    public = _public_network(admin)
    _subnet_pool(admin)
    _private_network(demo, public)
    _security_group(demo)
    _keypair(demo, settings)


def _wait_for_compute(admin, settings) -> None:
    """Until a host is mapped to the cell and has reported since its start.

    A host counts as up for a minute after its nova-compute was killed; a
    server that is given to the next one while it starts ends in ERROR.

    :raises: TimeoutError when that lasts too long.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not (_hypervisors(admin) and _has_reported(admin, settings)):
        if time.monotonic() > deadline:
            raise TimeoutError('nova-compute does not report to Nova')
        time.sleep(1)


def _hypervisors(admin):
    return [each for each in admin.compute.hypervisors(details=False)
            if each.state == 'up']


def _has_reported(admin, settings) -> bool:
    """Whether the last report is the running nova-compute's own.

    A host that is new has none yet; it is listed once it can be used.
    """
    process = next(service.process for service in
                   services.openstack(settings)
                   if service.name == 'nova-compute')
    started = datetime.datetime.fromtimestamp(
        process.started_at(settings), datetime.timezone.utc)
    return all(
        service.updated_at is None or _utc(service.updated_at) > started
        for service in admin.compute.services(binary='nova-compute'))


def _utc(text) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=datetime.timezone.utc)


def _flavors(admin) -> None:
    have = {flavor.name for flavor in admin.compute.flavors()}
    for name, vcpus, ram, disk in names.FLAVORS:
        if name not in have:
            admin.compute.create_flavor(name=name, vcpus=vcpus, ram=ram,
                                        disk=disk)


def _public_network(admin):
    """The default external network: auto-allocated networks lead to it."""
    network = admin.network.find_network(names.PUBLIC)
    if network is None:
        network = admin.network.create_network(
            name=names.PUBLIC, is_router_external=True, is_shared=False,
            is_default=True, provider_network_type='flat',
            provider_physical_network='public')
    elif not network.is_default:
        admin.network.update_network(network, is_default=True)
    if not network.subnet_ids:
        start, end = settings_.PUBLIC_POOL
        admin.network.create_subnet(
            name=names.PUBLIC, network_id=network.id, ip_version=4,
            cidr=settings_.PUBLIC_CIDR, enable_dhcp=False,
            gateway_ip=settings_.PUBLIC_GATEWAY,
            allocation_pools=[{'start': start, 'end': end}])
    return network


def _subnet_pool(admin) -> None:
    """Where a user's auto-allocated network has its addresses from."""
    if not admin.network.find_subnet_pool(names.SUBNET_POOL):
        admin.network.create_subnet_pool(
            name=names.SUBNET_POOL, is_default=True, is_shared=True,
            prefixes=[settings_.POOL_CIDR], default_prefix_length=26)


def _private_network(demo, public) -> None:
    network = (demo.network.find_network(names.NETWORK) or
               demo.network.create_network(name=names.NETWORK))
    subnet = demo.network.find_subnet(names.NETWORK, network_id=network.id)
    if subnet is None:
        subnet = demo.network.create_subnet(
            name=names.NETWORK, network_id=network.id, ip_version=4,
            cidr=settings_.PRIVATE_CIDR,
            gateway_ip=settings_.PRIVATE_GATEWAY,
            dns_nameservers=[settings_.PRIVATE_DNS])
    router = (demo.network.find_router(names.ROUTER) or
              demo.network.create_router(name=names.ROUTER))
    if not router.external_gateway_info:
        demo.network.update_router(
            router, external_gateway_info={'network_id': public.id})
    attached = {fixed['subnet_id']
                for port in demo.network.ports(device_id=router.id)
                for fixed in port.fixed_ips}
    if subnet.id not in attached:
        demo.network.add_interface_to_router(router, subnet_id=subnet.id)


def _security_group(demo) -> None:
    group = (demo.network.find_security_group(names.GROUP) or
             demo.network.create_security_group(
                 name=names.GROUP, description='Ping and ssh from anywhere'))
    have = {(rule['protocol'], rule['port_range_min'])
            for rule in group.security_group_rules
            if rule['direction'] == 'ingress'}
    for protocol, port in (('icmp', None), ('tcp', 22)):
        if (protocol, port) not in have:
            demo.network.create_security_group_rule(
                security_group_id=group.id, direction='ingress',
                protocol=protocol, port_range_min=port, port_range_max=port)


def _keypair(demo, settings) -> None:
    public_key = settings.keypair.with_suffix('.pub').read_text()
    found = demo.compute.find_keypair(names.KEYPAIR)
    if found and found.public_key.split()[1] != public_key.split()[1]:
        demo.compute.delete_keypair(found)
        found = None
    if found is None:
        demo.compute.create_keypair(name=names.KEYPAIR, public_key=public_key)


def has_image(settings) -> bool:
    admin = catalogue.connect(settings)
    image = admin.image.find_image(names.IMAGE)
    return bool(image and image.status == 'active')


def boot(settings) -> str:
    """The floating address of the first server, booted if necessary.

    :raises: RuntimeError with the server's fault.
    """
    demo = catalogue.connect(settings, 'quickstart')
    server = _existing(demo) or _create(demo)
    return _floating_ip(demo, wait_until_active(demo, server))


def wait_until_active(demo, server):
    """:raises: RuntimeError with the server's fault."""
    try:
        return demo.compute.wait_for_server(
            server, status='ACTIVE', interval=0.5, wait=_PATIENCE_S)
    except openstack.exceptions.SDKException as exc:
        fault = demo.compute.get_server(server.id).fault or {}
        raise RuntimeError('%s: %s' % (exc, fault.get('message', 'no fault')))


def _existing(demo):
    """The first server, on its way to ACTIVE; one in ERROR is deleted."""
    server = demo.compute.find_server(names.SERVER)
    if server is None:
        return None
    server = revive(demo, server.id)
    if server.status == 'ERROR':
        demo.compute.delete_server(server)
        demo.compute.wait_for_delete(server, wait=_PATIENCE_S)
        return None
    return server


def revive(demo, server_id):
    """A server, started if it is stopped."""
    server = demo.compute.get_server(server_id)
    if server.status == 'SHUTOFF':
        demo.compute.start_server(server)
    return server


def _create(demo):
    return demo.compute.create_server(
        name=names.SERVER, key_name=names.KEYPAIR,
        image_id=demo.image.find_image(names.IMAGE).id,
        flavor_id=demo.compute.find_flavor(names.FLAVOR).id,
        networks=[{'uuid': demo.network.find_network(names.NETWORK).id}],
        security_groups=[{'name': names.GROUP}])


def _floating_ip(demo, server) -> str:
    port = next(demo.network.ports(device_id=server.id))
    address = next(demo.network.ips(port_id=port.id), None)
    if address is None:
        address = demo.network.create_ip(
            floating_network_id=demo.network.find_network(names.PUBLIC).id,
            port_id=port.id)
    return address.floating_ip_address


def main(settings, what) -> int:
    if what == 'seed':
        seed(settings)
    elif what == 'has-image':
        return 0 if has_image(settings) else 1
    else:
        print(boot(settings))
    return 0


if __name__ == '__main__':
    sys.exit(main(settings_.Settings(pathlib.Path(sys.argv[2])), sys.argv[1]))
