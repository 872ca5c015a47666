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

"""The program of a sandbox container: an ELF file that waits to be killed.

Machine code, so that neither a compiler nor a download is needed. It blocks
in a system call that only a signal ends, and then blocks again. PID 1 of a
namespace ignores signals it has no handler for, so only SIGKILL ends it.

Documentation: https://refspecs.linuxfoundation.org/elf/elf.pdf and syscall
tables in ``asm/unistd.h`` of each architecture.
"""

import struct

_LOAD_ADDRESS = 0x400000
_ELF_HEADER = struct.Struct('<16sHHIQQQIHHHHHH')
_PROGRAM_HEADER = struct.Struct('<IIQQQQQQ')

_ELF_64_LITTLE_ENDIAN = b'\x7fELF\x02\x01\x01'
_EXECUTABLE = 2
_LOADABLE = 1
_READ_AND_EXECUTE = 5

# ELF machine number and code, by the name that uname(2) and Docker use.
_PROGRAMS = {
    'x86_64': (62, bytes.fromhex(
        'b822000000'                # again: mov eax, 34 (pause)
        '0f05'                      # syscall
        'ebf7')),                   # jmp again
    # There is no pause(2); ppoll(2) without descriptors or time-out is it.
    'aarch64': (183, struct.pack(
        '<8I',
        0xd2800000,                 # again: mov x0, #0 (no descriptors)
        0xd2800001,                 # mov x1, #0
        0xd2800002,                 # mov x2, #0 (no time-out)
        0xd2800003,                 # mov x3, #0 (no signal mask)
        0xd2800004,                 # mov x4, #0
        0xd2800928,                 # mov x8, #73 (ppoll)
        0xd4000001,                 # svc #0
        0x17fffff9)),               # b again
}


def architectures() -> tuple[str, ...]:
    """Machines that the program exists for."""
    return tuple(_PROGRAMS)


def program(architecture: str) -> bytes:
    """A static executable.

    :raises: KeyError for a machine not in ``architectures()``
    """
    machine, code = _PROGRAMS[architecture]
    headers = _ELF_HEADER.size + _PROGRAM_HEADER.size
    size = headers + len(code)
    return _ELF_HEADER.pack(
        _ELF_64_LITTLE_ENDIAN, _EXECUTABLE, machine, 1,
        _LOAD_ADDRESS + headers, _ELF_HEADER.size, 0, 0,
        _ELF_HEADER.size, _PROGRAM_HEADER.size, 1, 0, 0, 0,
    ) + _PROGRAM_HEADER.pack(
        _LOADABLE, _READ_AND_EXECUTE, 0, _LOAD_ADDRESS, _LOAD_ADDRESS,
        size, size, 0x1000,
    ) + code
