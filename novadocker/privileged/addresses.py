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

"""Addresses of an interface, in the thread's own network namespace."""

from collections.abc import Iterator
from collections.abc import Sequence
import ipaddress

from novadocker.privileged import netlink

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_IFA_F_NODAD = 0x02                # linux/if_addr.h
_PROMOTE = '/proc/sys/net/ipv4/conf/all/promote_secondaries'


def add_missing(inside: netlink.Socket, index: int,
                wanted: Sequence[Address]) -> None:
    present = list(_present(inside, index))
    for address in wanted:
        if address not in present:
            _remove_of_other_length(inside, index, address, present)
            inside.addr('replace', index=index, address=str(address.ip),
                        prefixlen=address.network.prefixlen,
                        **_flags(address))


def remove_others(inside: netlink.Socket, index: int,
                  wanted: Sequence[Address]) -> None:
    """Leave only these, and the link-local ones that the kernel makes."""
    stale = [address for address in _present(inside, index)
             if address not in wanted]
    if any(address.version == 4 for address in stale):
        _keep_secondaries()
    for address in stale:
        _remove(inside, index, address)


def _present(inside: netlink.Socket, index: int) -> Iterator[Address]:
    for found in inside.get_addr(index=index):
        address = found.get_attr('IFA_LOCAL') or found.get_attr('IFA_ADDRESS')
        interface = ipaddress.ip_interface(
            '%s/%d' % (address, found['prefixlen']))
        if interface.version == 4 or not interface.is_link_local:
            yield interface


def _flags(address: Address) -> dict[str, int]:
    """Neutron has seen to it that a fixed address is not used twice."""
    return {'flags': _IFA_F_NODAD} if address.version == 6 else {}


def _remove_of_other_length(inside: netlink.Socket, index: int,
                            wanted: Address,
                            present: Sequence[Address]) -> None:
    """An IPv6 address is there once; replacing it keeps its old prefix."""
    for address in present:
        if address.version == 6 and address.ip == wanted.ip:
            _remove(inside, index, address)


def _remove(inside: netlink.Socket, index: int, address: Address) -> None:
    with netlink.gone_is_fine():
        inside.addr('del', index=index, address=str(address.ip),
                    prefixlen=address.network.prefixlen)


def _keep_secondaries() -> None:
    """Else an address takes along those added after it to its subnet.

    With the last of them the kernel would remove the routes as well.
    """
    with open(_PROMOTE, 'w') as setting:
        setting.write('1')
