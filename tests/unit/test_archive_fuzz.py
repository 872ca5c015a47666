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


"""Archives with random damage: refused, or turned into sound ones.

Whatever the bytes, nothing but ArchiveError may come out as an error, and
what is let through must be what its own config says.
"""

import itertools

import hypothesis
from hypothesis import strategies as st
import testtools

from novadocker import archive
from tests.data import archives
from tests.unit import test_archive

LIMITS = archive.Limits(max_unpacked_bytes=4 * archives.MIB,
                        max_archive_bytes=4 * archives.MIB, max_members=1000,
                        max_entries=200)
# Small ones: damage has to hit something that matters.
SEEDS = {name: archives.HONEST[name].build() for name in (
    'docker_20_10', 'docker_25', 'docker_29_nested_index', 'podman_save',
    'oci_gzip_layers', 'oci_zstd_layers', 'crane_names', 'whole_gzip',
    'whole_zstd', 'zstd_layers_of_many_frames', 'layer_with_special_files',
    'gzip_layers_of_many_members', 'odd_but_valid_config', 'whole_xz',
    'xz_layers', 'whole_bzip2', 'bzip2_layers', 'cosign_save',
    'layer_with_opaque_directories',
    'layer_with_long_names', 'packed_anew_on_macos')}
BLOCK = 512
# The fields of a tar header, which plain flips seldom hit.
FIELDS = ((0, 100), (100, 108), (124, 136), (136, 148), (148, 156),
          (156, 157), (157, 257), (257, 265), (345, 500))
VALUES = (b'', b'\0', b'/', b'../x', b'x', b'7' * 12, b'\xff' * 12,
          b'\x80' + bytes(11), b'0', b'1', b'2', b'3', b'6', b'L', b'S',
          b'g', b'ustar\x0000', b'ustar  \0', b' 1_0 ', b'manifest.json',
          b'etc/passwd', b'00000000017\0')

settings = hypothesis.settings(
    max_examples=100, deadline=5000, derandomize=True, database=None,
    suppress_health_check=list(hypothesis.HealthCheck))


def flip(data, draw):
    changed = bytearray(data)
    for _time in range(draw(st.integers(1, 4))):
        changed[draw(st.integers(0, len(data) - 1))] ^= draw(
            st.integers(1, 255))
    return bytes(changed)


def cut(data, draw):
    start, end = sorted(draw(st.tuples(st.integers(0, len(data)),
                                       st.integers(0, len(data)))))
    return data[:start] + data[end:]


def repeat(data, draw):
    start, end = sorted(draw(st.tuples(
        *[st.integers(0, len(data) // BLOCK)] * 2)))
    return data[:end * BLOCK] + data[start * BLOCK:]


def reorder(data, draw):
    one, two, three = sorted(draw(st.tuples(
        *[st.integers(0, len(data) // BLOCK)] * 3)))
    return (data[:one * BLOCK] + data[two * BLOCK:three * BLOCK] +
            data[one * BLOCK:two * BLOCK] + data[three * BLOCK:])


def edit_header(data, draw):
    """Change a field of some header, and make its checksum right again."""
    starts = [start for start in range(0, len(data) - BLOCK + 1, BLOCK)
              if data[start + 257:start + 262] == b'ustar']
    if not starts:
        return data
    start = draw(st.sampled_from(starts))
    first, last = draw(st.sampled_from(FIELDS))
    value = draw(st.sampled_from(VALUES))[:last - first]
    block = bytearray(data[start:start + BLOCK])
    block[first:last] = value.ljust(last - first, b'\0')
    block[148:156] = b' ' * 8
    block[148:156] = b'%06o\0 ' % sum(block)
    return data[:start] + bytes(block) + data[start + BLOCK:]


def edit_text(data, draw):
    """Swap words that mean something in JSON or in names."""
    words = (b'"rootfs"', b'"layers"', b'"Layers"', b'"Config"', b'[', b'}',
             b'sha256', b'null', b'"linux"', b'"diff_ids"', b'layer.tar',
             b'"Env"', b'blobs', b'"manifests"', b'true', b'1e999')
    return data.replace(draw(st.sampled_from(words)),
                        draw(st.sampled_from(words)), draw(st.integers(1, 3)))


CHANGES = (flip, cut, repeat, reorder, edit_header, edit_text)


class FuzzTest(test_archive.SoundArchive, testtools.TestCase):

    def check(self, data, size):
        """Refuse, or write something sound of bounded size."""
        output = bytearray()
        try:
            for block in archive.sanitise(
                    test_archive.chunks(data, size), test_archive.TAG,
                    LIMITS, archives.RULES):
                output += block
                self.assertLess(len(block), 1 << 20)
        except archive.ArchiveError as err:
            self.assertTrue(str(err))
            self.assertNotIn(b'manifest.json', output)
            return False
        self.assertSound(bytes(output))
        return True

    @settings
    @hypothesis.given(st.sampled_from(sorted(SEEDS)),
                      st.lists(st.sampled_from(CHANGES), min_size=1,
                               max_size=3),
                      st.sampled_from((512, 1000, 1 << 16)), st.data())
    def test_damaged(self, seed, changes, size, data):
        archived = SEEDS[seed]
        for change in changes:
            archived = change(archived, data.draw) or archived
        self.check(archived, size)

    @settings
    @hypothesis.given(st.sampled_from(sorted(SEEDS)), st.data())
    def test_damaged_inside_its_compression(self, seed, data):
        """With digests that fit again, as an attacker would write it."""
        layer = archives.base_layer()
        for change in data.draw(st.lists(st.sampled_from(CHANGES),
                                         min_size=1, max_size=3)):
            layer = change(layer, data.draw) or layer
        image = archives.Image(layer, archives.second_layer())
        pack = data.draw(st.sampled_from((
            bytes, archives.gzip_layer, archives.zstd_layer)))
        self.check(archives.packed(image, pack), 1 << 16)

    @settings
    @hypothesis.given(st.binary(max_size=4096), st.sampled_from(
        (b'', b'\x1f\x8b\x08\0', b'\x28\xb5\x2f\xfd', b'\x50\x2a\x4d\x18')))
    def test_noise(self, data, magic):
        self.assertFalse(self.check(magic + data, 1 << 16))

    @settings
    @hypothesis.given(st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) |
        st.floats(), lambda inner: st.lists(inner, max_size=3) |
        st.dictionaries(st.sampled_from((
            'rootfs', 'type', 'diff_ids', 'config', 'Env', 'Cmd', 'Labels',
            'Volumes', 'history', 'created', 'Healthcheck', 'os')), inner,
            max_size=6), max_leaves=20), st.sampled_from(
                ('rootfs', 'config', 'history', 'created', 'os')))
    def test_config_of_any_shape(self, value, field):
        image = archives.Image(archives.base_layer())
        image.document[field] = value
        self.check(archives.simple(image.config, image.layers), 1 << 16)

    @settings
    @hypothesis.given(st.permutations(range(5)))
    def test_any_order_loads(self, order):
        image = archives.Image()
        names = ['0.tar', '1.tar']
        parts = [archives.member(names[0], image.layers[0]),
                 archives.symlink('one', names[1]),
                 archives.member(names[1], image.layers[1]),
                 archives.member('config.json', image.config),
                 archives.member('manifest.json', archives.manifest_json(
                     'config.json', [names[0], 'one']))]
        self.assertTrue(self.check(archives.tar(
            *[parts[index] for index in order]), 1 << 16))

    def test_unharmed_archives_pass(self):
        """So that the tests above do not refuse everything."""
        for data, size in itertools.product(SEEDS.values(), (512, 1 << 16)):
            self.assertTrue(self.check(data, size))
