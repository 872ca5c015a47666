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
    try:
        output = _written(data, {})
    except archive.ReadAgain as again:
        return _passes(data, again.sizes)
    except archive.ArchiveError as err:
        return _refused(err)
    _SOUND.assertSound(output)
    return True


def _passes(data: bytes, sizes) -> bool:
    """At the second reading, after which there is no third."""
    try:
        _SOUND.assertSound(_written(data, sizes))
    except archive.ReadAgain:
        raise AssertionError('a second reading asks for a third') from None
    except archive.ArchiveError as err:
        return _refused(err)
    return True


def _written(data: bytes, sizes) -> bytes:
    """Nothing whole is written of an archive that is refused."""
    output = bytearray()
    try:
        for block in archive.sanitise(
                test_archive.chunks(data, CHUNKS[len(data) % len(CHUNKS)]),
                archives.TAG, LIMITS, archives.RULES, sizes):
            output += block
    except archive.ArchiveError:
        assert b'manifest.json' not in output, 'a refused archive is whole'
        raise
    return bytes(output)


def _refused(err: archive.ArchiveError) -> bool:
    assert str(err).isprintable(), 'the reason cannot be printed'
    return False


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
