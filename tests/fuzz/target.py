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

"""What atheris runs: the sanitiser, and what must hold of it.

A process of its own, as libFuzzer takes it over: ``python -m
tests.fuzz.target`` with libFuzzer's options, directories of seeds or files.
"""

import ctypes
import sys

import atheris
from atheris import core_with_libfuzzer

with atheris.instrument_imports(include=['novadocker.archive']):
    from novadocker import archive

import testtools

from tests.data import archives
from tests.fuzz import mutation
from tests.unit import test_archive

LIMITS = archive.Limits(max_unpacked_bytes=4 * archives.MIB,
                        max_archive_bytes=4 * archives.MIB, max_members=1000,
                        max_entries=200)
CHUNKS = (512, 1000, 64 * 1024)


class Sound(test_archive.SoundArchive, testtools.TestCase):
    """The assertions of the unit tests."""

    def runTest(self):
        """A test case has to have a test."""


_SOUND = Sound()


def run(data: bytes) -> bool:
    """Refuse, or write what is sound; whether it passed.

    :raises: anything but ArchiveError when the sanitiser is at fault
    """
    result = archive.Result()
    output = bytearray()
    try:
        for block in archive.sanitise(
                test_archive.chunks(data, CHUNKS[len(data) % len(CHUNKS)]),
                test_archive.TAG, LIMITS, result, archives.ARCHITECTURE):
            output += block
    except archive.ArchiveError as err:
        assert str(err).isprintable(), 'the reason cannot be printed'
        assert b'manifest.json' not in output, 'a refused archive is whole'
        assert result == archive.Result(), 'a refused archive has a result'
        return False
    _SOUND.assertSound(bytes(output), result)
    return True


# atheris.Mutate of version 3.0 looks for this function in a library that
# does not have it.
_MUTATE = ctypes.PyDLL(core_with_libfuzzer.__file__).LLVMFuzzerMutate
_MUTATE.restype = ctypes.c_size_t
_MUTATE.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]


def mutate(data: bytes, max_size: int) -> bytes:
    """libFuzzer's own mutation, which knows what was compared with what."""
    room = ctypes.create_string_buffer(data, max(max_size, 1))
    return room.raw[:_MUTATE(room, min(len(data), max_size), max_size)]


def main() -> None:
    atheris.Setup(sys.argv, run, custom_mutator=mutation.Mutator(mutate))
    atheris.Fuzz()


if __name__ == '__main__':
    main()
