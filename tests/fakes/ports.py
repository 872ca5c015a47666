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


"""Nova's network model of a server's ports, as Neutron's would be built."""

from nova.network import model as network_model
from nova.tests.unit import fake_instance
from oslo_utils.fixture import uuidsentinel as uuids


def subnet(cidr: str, *addresses: str, gateway: str | None = None,
           dns: tuple[str, ...] = (),
           routes: tuple[tuple[str, str], ...] = (),
           dhcp_server: str | None = None, enable_dhcp: bool = True
           ) -> network_model.Subnet:
    """As ML2/OVN has it; of ML2/OVS it is with a DHCP agent's address.

    :param routes: (destination CIDR, gateway)
    """
    meta = {'dhcp_server': dhcp_server} if dhcp_server else {}
    return network_model.Subnet(
        cidr=cidr, enable_dhcp=enable_dhcp, **meta,
        gateway=network_model.IP(address=gateway, type='gateway'),
        dns=[network_model.IP(address=server, type='dns')
             for server in dns],
        ips=[network_model.FixedIP(address=address)
             for address in addresses],
        routes=[network_model.Route(
            cidr=destination,
            gateway=network_model.IP(address=hop, type='gateway'))
            for destination, hop in routes])


def port(number: int, *subnets: network_model.Subnet, bridge: str = 'br-int',
         mtu: int | None = 1442, details: dict | None = None,
         **others) -> network_model.VIF:
    """The n-th port of a test; ids and MAC address follow from n.

    :param others: further attributes of the VIF, such as ``active``
    """
    port_id = '%08x-0000-4000-8000-%012x' % (0xa0000000 + number, number)
    meta = {'mtu': mtu} if mtu else {}
    attributes = {
        'type': network_model.VIF_TYPE_OVS, 'ovs_interfaceid': port_id,
        'active': False, 'delegate_create': True, **others}
    return network_model.VIF(
        id=port_id, address='fa:16:3e:00:00:%02x' % number,
        devname=('tap' + port_id)[:network_model.NIC_NAME_LEN],
        network=network_model.Network(
            id=uuids.network, bridge=bridge, label='private',
            subnets=list(subnets), **meta),
        details={'port_filter': True, 'connectivity': 'l2', **(details or {})},
        **attributes)


def instance(context, **attributes):
    """A server without a database behind it."""
    return fake_instance.fake_instance_obj(
        context, **{'uuid': uuids.instance, 'hostname': 'web', **attributes})
