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

"""The seccomp profile, by system calls made under it on the real engine.

Small programs make one call each and exit with its errno; they are machine
code of x86_64, as is the 32-bit call that a program of 64 bits can make.
"""

import errno
import platform
import socket
import struct
from unittest import mock

import testtools

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import pause
from novadocker.virt.docker import seccomp
from novadocker.virt.docker import spec
from tests import base
from tests.fakes import archives
from tests.functional import engine

_AF_RDS, _AF_ALG, _AF_RXRPC, _AF_VSOCK = 21, 38, 33, 40
_SOCKETCALL, _SYS_SOCKET, _IO_URING_SETUP = 102, 1, 425

# neg eax; js success; mov edi, eax; mov eax, 60 (exit); syscall;
# success: xor edi, edi; mov eax, 60; syscall
_EXIT_WITH_ERRNO = bytes.fromhex(
    'f7d8' '7809' '89c7' 'b83c000000' '0f05' '31ff' 'b83c000000' '0f05')


def call(number: int, first: int, second: int = 0, third: int = 0) -> bytes:
    """A system call with three arguments, of which the first has 64 bits."""
    return (b'\x48\xbf' + struct.pack('<Q', first) +      # mov rdi, first
            b'\xbe' + struct.pack('<I', second) +         # mov esi, second
            b'\xba' + struct.pack('<I', third) +          # mov edx, third
            b'\xb8' + struct.pack('<I', number) +         # mov eax, number
            bytes.fromhex('0f05') + _EXIT_WITH_ERRNO)     # syscall


def call_of_32_bits(number: int, first: int) -> bytes:
    """One of i386, with a pointer to nothing as the second argument."""
    return (b'\xbb' + struct.pack('<I', first) +          # mov ebx, first
            bytes.fromhex('31c9') +                       # xor ecx, ecx
            b'\xb8' + struct.pack('<I', number) +         # mov eax, number
            bytes.fromhex('cd80') + _EXIT_WITH_ERRNO)     # int 0x80


@testtools.skipUnless(platform.machine() == 'x86_64', 'code of x86_64')
class SeccompTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(engine.RealEngine())
        self.profile = seccomp.profile(self.engine.client.info())

    def _errno(self, code: bytes, profile: str | None) -> int:
        with mock.patch.dict(pause._PROGRAMS, {'call': (62, code)}):
            program = pause.program('call')
        client = self.engine.client
        container = client.create(model.ContainerSpec(
            name='%s-%s' % (engine.NAMESPACE, self.id().rpartition('.')[2]),
            image=self.engine.image, labels={}, network_mode='none',
            command=('/call',), cap_add=spec.CAPABILITIES,
            security_opt=('seccomp=' + profile,) if profile else ()))
        try:
            client.put_archive(container, '/',
                               archives.tar({'call': program}))
            client.start(container)
            return client.wait(container, 30)
        finally:
            client.remove(container)

    def _socket(self, family: int, kind: int = socket.SOCK_DGRAM) -> int:
        return self._errno(call(41, family, kind), self.profile)

    def test_ordinary_sockets(self):
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6,
                       socket.AF_NETLINK):
            self.assertEqual(0, self._socket(family), family)

    def test_other_families(self):
        for family in (_AF_ALG, _AF_RXRPC, _AF_RDS, _AF_VSOCK):
            self.assertEqual(errno.EPERM, self._socket(
                family, socket.SOCK_SEQPACKET), family)

    def test_family_in_disguise(self):
        """The kernel looks at 32 bits of the argument, a filter at 64."""
        self.assertEqual(errno.EPERM, self._socket(
            (1 << 32) + _AF_ALG, socket.SOCK_SEQPACKET))

    def test_family_behind_a_pointer(self):
        self.assertEqual(errno.ENOSYS, self._errno(
            call_of_32_bits(_SOCKETCALL, _SYS_SOCKET), self.profile))

    def test_calls_that_old_engines_allow(self):
        self.assertEqual(errno.EPERM, self._errno(
            call(_IO_URING_SETUP, 1), self.profile))

    def test_programs_tell_the_truth(self):
        """Without a profile the kernel itself answers."""
        self.assertEqual(errno.EFAULT, self._errno(
            call_of_32_bits(_SOCKETCALL, _SYS_SOCKET), 'unconfined'))
        self.assertEqual(errno.EFAULT, self._errno(
            call(_IO_URING_SETUP, 1), 'unconfined'))
        self.assertEqual(0, self._errno(
            call(41, socket.AF_INET, socket.SOCK_DGRAM), 'unconfined'))
