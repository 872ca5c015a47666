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


import gzip
import io
import itertools
import json
import tarfile
import tracemalloc

import testtools

from novadocker import archive
from novadocker.archive import compression
from novadocker.archive import layers
from novadocker.archive import tar
from tests.data import archives

TAG = 'novadocker/11111111-2222-3333-4444-555555555555:abc'
CHUNK = 64 * 1024


def chunks(data, size=CHUNK):
    return [data[start:start + size] for start in range(0, len(data), size)]


def sanitised(data, size=CHUNK, result=None, **limits):
    return b''.join(archive.sanitise(
        chunks(data, size), TAG, archive.Limits(**limits),
        result or archive.Result(), archives.ARCHITECTURE))


def refused(case):
    try:
        sanitised(case.build(), **case.limits)
    except archive.ArchiveError as err:
        return str(err)
    return ''


def per_case(cases):
    """One test method for each case, named after it."""
    def decorate(cls):
        for case in cases:
            def test(self, case=case):
                self.check(case)
            setattr(cls, 'test_' + case.name, test)
        return cls
    return decorate


class SoundArchive:
    """What every archive that goes to the engine has to be."""

    def assertSound(self, output, result=None):
        contents = archives.members_of(output)
        names = list(contents)
        self.assertEqual(['config.json', 'manifest.json'], names[-2:])
        self.assertEqual(['layer-%d.tar' % index
                          for index in range(len(names) - 2)], names[:-2])
        (manifest,) = json.loads(contents['manifest.json'])
        self.assertEqual({'Config': 'config.json', 'RepoTags': [TAG]},
                         {key: manifest[key] for key in manifest
                          if key != 'Layers'})
        diff_ids = json.loads(contents['config.json'])['rootfs']['diff_ids']
        self.assertEqual(diff_ids, [
            archives.digest(self.unpacked(contents[name]))
            for name in manifest['Layers']])
        self.assertEqual(bytes(1024), output[-1024:])
        if result:
            self.assertEqual(archives.digest(contents['config.json']),
                             result.image_id)
        return contents

    def unpacked(self, data):
        """As engine 20.10 does it, which knows no zstd."""
        self.assertNotEqual('zstd', compression.format_of(data))
        packed = compression.format_of(data) == 'gzip'
        return gzip.decompress(data) if packed else data


@per_case(archives.HONEST.values())
class HonestTest(SoundArchive, testtools.TestCase):
    """What tools write loads, however the network cuts it up."""

    def check(self, case):
        data = case.build()
        result = archive.Result()
        output = sanitised(data, result=result, **case.limits)
        self.assertSound(output, result)
        for size in (len(data), 1009):
            self.assertEqual(output, sanitised(data, size, **case.limits))


@per_case(archives.HOSTILE.values())
class HostileTest(testtools.TestCase):

    def check(self, case):
        self.assertRegex(refused(case), case.reason)


class ResultTest(SoundArchive, testtools.TestCase):

    def test_tells_what_the_image_is(self):
        image = archives.Image(archives.base_layer(), archives.base_layer(),
                               archives.second_layer())
        result = archive.Result()
        sanitised(archives.docker25(image), result=result)
        self.assertEqual(archives.ARCHITECTURE, result.architecture)
        self.assertEqual('linux', result.os)
        self.assertEqual(tuple(image.document['rootfs']['diff_ids']),
                         result.layers)
        # The layer that comes twice is stored once.
        self.assertEqual(len(image.layers[0]) + len(image.layers[2]),
                         result.unpacked_bytes)
        self.assertEqual(3, len(result.history))

    def test_the_same_image_gets_the_same_id_from_every_tool(self):
        ids = set()
        for layout in (archives.legacy, archives.docker25, archives.oci,
                       archives.podman):
            result = archive.Result()
            sanitised(layout(archives.Image()), result=result)
            ids.add(result.image_id)
        self.assertEqual(1, len(ids))

    def test_statements_on_an_image_are_no_images(self):
        """Attestations are manifests too; for any machine all are seen."""
        result = archive.Result()
        for _block in archive.sanitise(
                chunks(archives.docker_29_nested_index()), TAG,
                archive.Limits(), result):
            pass
        self.assertEqual('amd64', result.architecture)

    def test_is_empty_until_the_end(self):
        result = archive.Result()
        image = archives.Image(archives.base_layer(
            archives.member('data', bytes(2 * CHUNK))))
        stream = archive.sanitise(chunks(archives.legacy(image)), TAG,
                                  archive.Limits(), result)
        next(stream)
        self.assertEqual(archive.Result(), result)


class StreamTest(SoundArchive, testtools.TestCase):

    def test_blocks_are_of_a_good_size(self):
        image = archives.Image(archives.base_layer(
            archives.member('data', bytes(archives.MIB))))
        for size in (1000, 10 * archives.MIB):
            blocks = list(archive.sanitise(
                chunks(archives.legacy(image), size), TAG, archive.Limits(),
                archive.Result()))
            self.assertTrue(all(CHUNK <= len(block) <= 2 * CHUNK
                                for block in blocks[:-1]))

    def test_an_error_of_the_source_passes_and_leaves_no_manifest(self):
        class ChecksumWrong(Exception):
            pass

        def source():
            yield from chunks(archives.docker_20_10())
            raise ChecksumWrong()

        sent = bytearray()

        def load():
            for block in archive.sanitise(source(), TAG, archive.Limits(),
                                          archive.Result()):
                sent.extend(block)

        self.assertRaises(ChecksumWrong, load)
        self.assertNotIn(b'manifest.json', sent)

    def test_memory_is_bounded(self):
        """A 96 MiB layer, a bomb, and neither is ever held."""
        zeros = gzip.compress(archives.tar(
            archives.member('zeros', bytes(96 * archives.MIB))), 1)
        bomb = archives.simple(archives.Image().config, [zeros])
        source = chunks(bomb)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for size in (96 * archives.MIB, 1 << 30):
            limits = archive.Limits(max_unpacked_bytes=size)
            with self.assertRaises(archive.ArchiveError):
                for _block in archive.sanitise(source, TAG, limits,
                                               archive.Result()):
                    pass
        self.assertLess(tracemalloc.get_traced_memory()[1],
                        8 * archives.MIB)

    def test_limit_on_layers_is_exact(self):
        image = archives.Image()
        size = sum(map(len, image.layers))
        data = archives.legacy(image)
        self.assertSound(sanitised(data, max_unpacked_bytes=size))
        self.assertRaises(archive.ArchiveError, sanitised, data,
                          max_unpacked_bytes=size - 1)

    def test_limit_on_the_archive_is_exact(self):
        data = archives.whole_gzip()
        self.assertSound(sanitised(data, max_archive_bytes=len(data)))
        self.assertRaises(archive.ArchiveError, sanitised, data,
                          max_archive_bytes=len(data) - 1)


class ConfigTest(SoundArchive, testtools.TestCase):

    def config(self, image, **limits):
        output = sanitised(archives.legacy(image), **limits)
        return json.loads(archives.members_of(output)['config.json'])

    def test_what_the_image_says_of_itself_is_kept(self):
        settings = {
            'User': 'app', 'ExposedPorts': {'80/tcp': {}},
            'Env': ['PATH=/bin', 'A='], 'Entrypoint': ['/init'],
            'Cmd': ['a', 'b c'], 'Volumes': {'/data': {}},
            'WorkingDir': '/srv', 'Labels': {'a': 'b'},
            'StopSignal': 'SIGINT', 'StopTimeout': 3, 'OnBuild': ['RUN x'],
            'Shell': ['/bin/sh', '-c'], 'Healthcheck': {
                'Test': ['CMD', 'true'], 'Interval': 1, 'Timeout': 2,
                'StartPeriod': 3, 'StartInterval': 4, 'Retries': 5}}
        image = archives.Image(config=settings, author='A', variant='v2')
        self.assertEqual(image.document, self.config(image))

    def test_nothing_else_is(self):
        image = archives.Image(
            config={'MacAddress': 'x', 'Unknown': 1},
            id='x', parent='y', unknown=[])
        document = self.config(image)
        for field in ('id', 'parent', 'unknown'):
            self.assertNotIn(field, document)
        self.assertEqual({'Env': ['PATH=/bin'], 'Cmd': ['sh']},
                         document['config'])

    def test_null_and_strings_of_old_builders(self):
        document = self.config(archives.Image(config={
            'Cmd': 'sh -c true', 'Entrypoint': None, 'Labels': None}))
        self.assertEqual({'Env': ['PATH=/bin'], 'Cmd': ['sh -c true']},
                         document['config'])

    def test_labels_of_ours_are_dropped_from_a_snapshot(self):
        image = archives.Image(config={'Labels': {
            'org.openstack.nova.uuid': 'x', 'Org.OpenStack.Nova.Role': 'y',
            'org.openstack.nova': 'kept'}})
        self.assertEqual(
            {'org.openstack.nova': 'kept'},
            self.config(image, strip_labels=True)['config']['Labels'])

    def test_host_architecture_as_uname_or_go_says(self):
        data = archives.docker_20_10()
        for name in ('x86_64', 'amd64', 'AMD64', None):
            self.assertSound(b''.join(archive.sanitise(
                chunks(data), TAG, archive.Limits(), archive.Result(),
                name)))
        with self.assertRaisesRegex(archive.ArchiveError, 'runs arm64'):
            list(archive.sanitise(chunks(data), TAG, archive.Limits(),
                                  archive.Result(), 'aarch64'))

    def test_message_shows_names_harmlessly(self):
        name = 'a\x1b[31m\n' + 'b' * 200
        with self.assertRaises(archive.ArchiveError) as raised:
            sanitised(archives.tar(archives.member(name, kind=b'6')))
        message = str(raised.exception)
        self.assertTrue(message.isprintable())
        self.assertLess(len(message), 250)


class HeaderTest(testtools.TestCase):
    """The headers of every dialect mean what the standard library says."""

    def test_formats(self):
        names = ('a', 'd/' * 49 + 'x', 'd/' * 90 + 'x', 'd' * 300, 'é')
        formats = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT,
                   tarfile.PAX_FORMAT)
        tried = 0
        for name, form in itertools.product(names, formats):
            if form == tarfile.USTAR_FORMAT and len(name) > 250:
                continue
            data = archives.tar(archives.member(
                name, b'abc', form=form), archives.symlink('l', name[:90]))
            source = tar.Source([data])
            found = []
            for header in tar.members(source, 10):
                content = source.exactly(header.data_size, 'x')
                found.append((header.name.decode(), header.kind, content))
            self.assertEqual([(name, b'0', b'abc'), ('l', b'2', b'')], found)
            tried += 1
        self.assertEqual(14, tried)

    def test_old_archives(self):
        block = archives.raw_header(b'dir/', kind=b'\0', magic=b'')
        (header,) = tar.members(
            tar.Source([block + bytes(1024)]), 1 + 1)
        self.assertEqual(tar.DIRECTORY, header.kind)

    def test_prefix_in_the_place_of_gnu_times(self):
        block = bytearray(archives.raw_header(b'name'))
        block[345:351] = b'prefix'
        block[148:156] = b' ' * 8
        block[148:156] = b'%06o\0 ' % sum(block)
        header = tar.parse_header(bytes(block))
        self.assertEqual(b'prefix/name', header.name)

    def test_size_in_base_256(self):
        size = 100 << 30
        block = tar.file_header('x', size)
        self.assertEqual(size, tar.parse_header(block).size)

    def test_signed_checksum(self):
        block = bytearray(archives.raw_header(b'\xff'))
        block[148:156] = b' ' * 8
        signed = sum(byte - 256 if byte > 127 else byte for byte in block)
        block[148:156] = b'%06o\0 ' % signed
        self.assertEqual(b'\xff', tar.parse_header(bytes(block)).name)


class LinkTest(testtools.TestCase):

    def test_where_links_lead(self):
        for name, link, relative, target in (
                (b'a/b', b'../c', True, (b'c', False)),
                (b'a/b', b'c/./d', True, (b'a/c/d', False)),
                (b'a/b', b'/c', True, (b'c', False)),
                (b'a/b', b'../../c', True, (b'c', True)),
                (b'a/b', b'/../c', True, (b'c', True)),
                (b'a/b', b'c', False, (b'c', False)),
                (b'a/b', b'../c', False, (b'c', True)),
                (b'a/b', b'..', True, (b'', False))):
            self.assertEqual(target, tar.resolve_link(
                name, link, relative), (name, link))


class LayerScanTest(testtools.TestCase):

    def scan(self, layer, size):
        """Give the names and links that were seen."""
        special = layers.SpecialFiles()
        scan = layers.LayerScan('x', layers.Budget(1 << 30, 1000),
                                special)
        self.patch(scan, '_check', lambda header: seen.append(
            (header.name, header.kind, header.size)))
        seen = []
        for piece in chunks(layer, size):
            scan.feed(piece)
        scan.finish()
        return seen

    def test_pieces_of_any_size_are_the_same(self):
        layer = archives.base_layer(
            archives.member('d/' * 60 + 'g', b'x' * 700),
            archives.member('e/' * 60 + 'p', b'x' * 512, pax={'a': 'b'}))
        expected = self.scan(layer, len(layer))
        self.assertIn((b'e/' * 60 + b'p', b'0', 512), expected)
        for size in (1, 3, 511, 512, 513, 4096):
            self.assertEqual(expected, self.scan(layer, size))

    def test_cut_anywhere_but_between_members_is_refused(self):
        layer = archives.tar(archives.member('a', b'x' * 600),
                             archives.member('b', pax={'c': 'd'}), end=False)
        whole = {0, 1536, len(layer)}
        for end in range(0, len(layer) + 1, 64):
            if end in whole:
                self.scan(layer[:end], 100)
            else:
                self.assertRaises(archive.ArchiveError, self.scan,
                                  layer[:end], 100)


class CompressionTest(testtools.TestCase):

    def test_pieces_are_small_however_well_it_packs(self):
        data = bytes(5 * archives.MIB + 3)
        for kind, pack in (('gzip', archives.gzip_layer),
                           ('zstd', archives.zstd_layer)):
            packed = pack(data)
            for size in (1, 7, len(packed)):
                inflater = compression.Inflater(kind, 'x')
                pieces = [piece for part in chunks(packed, size)
                          for piece in inflater.feed(part)]
                inflater.finish()
                self.assertEqual(data, b''.join(pieces))
                self.assertLessEqual(max(map(len, pieces)), CHUNK)

    def test_endless_members_are_refused(self):
        self.patch(compression, '_MOST_MEMBERS', 10)
        inflater = compression.Inflater('gzip', 'x')
        with self.assertRaisesRegex(archive.ArchiveError, 'many parts'):
            list(inflater.feed(gzip.compress(b'') * 11))

    def test_padded_gzip_has_the_size_it_told(self):
        noise = bytes(range(256)) * 300
        for packed in (0, 1, 10, 1000, 3000, 70_000):
            padded = compression.PaddedGzip(packed)
            data = noise[:packed]
            output = padded.feed(data) + b''.join(padded.finish())
            self.assertEqual(padded.size, len(output))
            self.assertEqual(data, gzip.decompress(output))

    def test_padded_gzip_that_does_not_fit(self):
        padded = compression.PaddedGzip(1)
        with self.assertRaisesRegex(archive.ArchiveError, 'with gzip'):
            padded.feed(b'')
            with gzip.open(io.BytesIO(archives.gzip_layer(b''))):
                for byte in range(256):
                    padded.feed(bytes([byte, 255 - byte]) * 5 * CHUNK)
            list(padded.finish())
