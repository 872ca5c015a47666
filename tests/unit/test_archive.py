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


import bz2
import gzip
import itertools
import json
import lzma
import tarfile
import tracemalloc

import testtools

from novadocker import archive
from novadocker.archive import compression
from novadocker.archive import layers
from novadocker.archive import seen
from novadocker.archive import tar
from novadocker.archive import userfiles
from tests.data import archives

TAG = archives.TAG
CHUNK = 64 * 1024


def chunks(data, size=CHUNK):
    return [data[start:start + size] for start in range(0, len(data), size)]


def sanitised(data, size=CHUNK, rules=archives.RULES, **limits):
    """Read as the driver does, twice where once does not do."""
    def written(sizes=None):
        return b''.join(archive.sanitise(
            chunks(data, size), TAG, archive.Limits(**limits), rules, sizes))
    try:
        return written()
    except archive.ReadAgain as again:
        return written(again.sizes)


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

    def assertSound(self, output):
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
        return contents

    def unpacked(self, data):
        """As engine 20.10 does it, which knows no zstd and may have no xz."""
        kind = compression.looks_packed(data)
        self.assertIn(kind, (None, 'gzip'))
        return gzip.decompress(data) if kind else data


@per_case(archives.HONEST.values())
class HonestTest(SoundArchive, testtools.TestCase):
    """What tools write loads, however the network cuts it up."""

    def check(self, case):
        data = case.build()
        output = sanitised(data, **case.limits)
        self.assertSound(output)
        for size in (len(data), 1009):
            self.assertEqual(output, sanitised(data, size, **case.limits))


@per_case(archives.HOSTILE.values())
class HostileTest(testtools.TestCase):

    def check(self, case):
        self.assertRegex(refused(case), case.reason)


class RecordTest(testtools.TestCase):
    """What the caller is told of the image, in labels."""

    def config(self, image, **rules):
        output = sanitised(archives.docker25(image),
                           rules=archive.Rules(**rules))
        return archives.config_of(output)['config']

    def test_layers_are_measured_each_once(self):
        layers_ = [archives.base_layer(), archives.second_layer()]
        self.assertEqual(
            {'bytes': str(sum(map(len, layers_)))},
            self.config(archives.Image(layers_[0], *layers_),
                        unpacked_label='bytes')['Labels'])

    def test_volumes_are_recorded_and_never_declared(self):
        config = self.config(
            archives.Image(config={'Labels': {'a': 'b'}, 'Volumes': {
                '/data': {}, 'data/': {}, '//var/./lib/x': {}}}),
            volumes_label='volumes')
        self.assertNotIn('Volumes', config)
        self.assertEqual({'a': 'b', 'volumes': '["/data", "/var/lib/x"]'},
                         config['Labels'])

    def test_nothing_is_recorded_unasked(self):
        config = self.config(archives.Image(config={
            'Volumes': {'/data': {}}}))
        self.assertEqual({'Env', 'Cmd'}, set(config))

    def test_the_same_image_gets_the_same_id_from_every_tool(self):
        self.assertEqual(1, len({
            archives.members_of(sanitised(layout(archives.Image())))[
                'config.json']
            for layout in (archives.legacy, archives.docker25, archives.oci,
                           archives.podman)}))


class PlatformTest(testtools.TestCase):
    """One image of several is taken: the one that the engine would take."""

    def taken(self, host, *platforms):
        rows = [(name, variant, archives.Image(
            architecture=name, variant=variant))
            for name, variant in platforms]
        config = archives.config_of(sanitised(
            archives.of_platforms(*rows), rules=archive.Rules(host)))
        return config['architecture'], config.get('variant', '')

    def test_lowest_level_that_all_hosts_run(self):
        amd64 = [('amd64', 'v3'), ('386', ''), ('amd64', ''), ('amd64', 'v2')]
        self.assertEqual(('amd64', ''), self.taken('x86_64', *amd64))
        self.assertEqual(('amd64', 'v2'), self.taken(
            'amd64', ('amd64', 'v2'), ('amd64', 'v3'), ('arm64', '')))
        self.assertEqual(('arm64', 'v8'), self.taken(
            'aarch64', ('arm64', 'v9'), ('arm64', 'v8'), ('amd64', '')))

    def test_32_bits_where_there_is_nothing_else(self):
        self.assertEqual(('386', ''), self.taken(
            'amd64', ('386', ''), ('arm', 'v7')))
        for host in ('arm64', 'armv7l'):
            self.assertEqual(('arm', 'v7'), self.taken(
                host, ('arm', 'v6'), ('arm', 'v7'), ('amd64', '')))

    def test_what_cannot_run_is_refused(self):
        for host, name in (('386', 'amd64'), ('arm', 'arm64'),
                           ('s390x', '386')):
            with self.assertRaisesRegex(archive.ArchiveError, 'leads to 0'):
                self.taken(host, (name, ''))

    def test_any_platform_where_the_host_is_unknown(self):
        """Attestations are manifests too; for any machine all are seen."""
        config = archives.config_of(sanitised(
            archives.docker_29_nested_index(), rules=archive.Rules()))
        self.assertEqual('amd64', config['architecture'])


class ReadAgainTest(SoundArchive, testtools.TestCase):

    def test_first_reading_leaves_no_manifest(self):
        data = archives.zstd_layer_that_repeats_itself()
        sent = bytearray()

        def send():
            for block in archive.sanitise(chunks(data), TAG, archive.Limits(),
                                          archives.RULES):
                sent.extend(block)

        again = self.assertRaises(archive.ReadAgain, send)
        self.assertNotIn(b'manifest.json', sent)
        (size,) = again.sizes.values()
        self.assertGreater(size, 16 * archives.MIB)

    def test_refusals_come_with_the_first_reading(self):
        image = archives.Image(archives.base_layer(archives.member(
            'repeated', archives.noise(archives.MIB) * 16)),
            architecture='s390x')
        data = archives.packed(image, archives.zstd_layer)
        error = self.assertRaises(archive.ArchiveError, list, archive.sanitise(
            chunks(data), TAG, archive.Limits(), archives.RULES))
        self.assertIn('s390x', str(error))

    def test_another_archive_is_not_taken_for_the_first(self):
        data = archives.zstd_layer_that_repeats_itself()
        self.assertRaises(archive.ReadAgain, list, archive.sanitise(
            chunks(data), TAG, archive.Limits(), archives.RULES,
            {'l0/layer.tar': 1000}))


class StreamTest(SoundArchive, testtools.TestCase):

    def test_blocks_are_of_a_good_size(self):
        image = archives.Image(archives.base_layer(
            archives.member('data', bytes(archives.MIB))))
        for size in (1000, 10 * archives.MIB):
            blocks = list(archive.sanitise(
                chunks(archives.legacy(image), size), TAG, archive.Limits(),
                archives.RULES))
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
                                          archives.RULES):
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
                                               archives.RULES):
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

    def config(self, image, **rules):
        return archives.config_of(sanitised(
            archives.legacy(image), rules=archive.Rules(**rules)))

    def test_what_the_image_says_of_itself_is_kept(self):
        settings = {
            'User': 'app', 'ExposedPorts': {'80/tcp': {}},
            'Env': ['PATH=/bin', 'A='], 'Entrypoint': ['/init'],
            'Cmd': ['a', 'b c'], 'WorkingDir': '/srv', 'Labels': {'a': 'b'},
            'StopSignal': 'SIGINT', 'StopTimeout': 3, 'OnBuild': ['RUN x'],
            'Shell': ['/bin/sh', '-c']}
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

    def health_check(self, check, allow):
        image = archives.Image(config={'Healthcheck': check})
        return self.config(image, allow_healthcheck=allow)['config'].get(
            'Healthcheck')

    def test_health_check_is_dropped(self):
        self.assertIsNone(self.health_check(
            {'Test': ['CMD', 'true'], 'Interval': 10 ** 6}, allow=False))

    def test_health_check_is_bounded_where_it_is_allowed(self):
        second, day = 10 ** 9, 24 * 3600 * 10 ** 9
        test = ['CMD', 'true']
        for stated, kept in (
                ({'Interval': 10 ** 6, 'Timeout': -1, 'StartInterval': 1,
                  'StartPeriod': -1, 'Retries': -1},
                 {'Interval': second, 'Timeout': second,
                  'StartInterval': second}),
                ({'Interval': 2 * day, 'Timeout': 2 * day,
                  'StartInterval': 2 * day, 'StartPeriod': 2 * day,
                  'Retries': 10 ** 9},
                 {'Interval': day, 'Timeout': day, 'StartInterval': day,
                  'StartPeriod': day, 'Retries': 1000}),
                ({'Interval': 5 * second, 'Retries': 3, 'Timeout': 0},
                 {'Interval': 5 * second, 'Retries': 3})):
            self.assertEqual({'Test': test, **kept}, self.health_check(
                {'Test': test, **stated}, allow=True))

    def test_labels_of_ours_are_dropped_from_a_snapshot(self):
        image = archives.Image(config={'Labels': {
            'org.openstack.nova.uuid': 'x', 'Org.OpenStack.Nova.Role': 'y',
            'org.openstack.nova': 'kept'}})
        self.assertEqual({'org.openstack.nova': 'kept'}, self.config(
            image, reserved_labels='org.openstack.nova.',
            strip_reserved=True)['config']['Labels'])

    def test_host_architecture_as_uname_or_go_says(self):
        data = archives.docker_20_10()
        for name in ('x86_64', 'amd64', 'AMD64', None):
            self.assertSound(sanitised(data, rules=archive.Rules(name)))
        with self.assertRaisesRegex(archive.ArchiveError, 'runs arm64'):
            sanitised(data, rules=archive.Rules('aarch64'))

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

    def test_checksum_of_any_bytes(self):
        for block in (bytes(512), b'\xff' * 512, archives.noise(512)):
            self.assertEqual(sum(block), tar._sum(block))

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
        scan = layers.LayerScan('x', layers.Budget(1 << 30, 1000),
                                userfiles.UserFiles())
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
                           ('zstd', archives.zstd_layer),
                           ('xz', lzma.compress), ('bzip2', bz2.compress)):
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
        noise = archives.noise(70_000)
        for size in (0, 1, 10, 1000, 3000, 70_000):
            for room in (compression.room_for_content(size),
                         compression.room_for_packed(size)):
                padded = compression.PaddedGzip(room)
                output = padded.feed(noise[:size]) + b''.join(padded.finish())
                self.assertEqual(room, len(output))
                self.assertEqual(noise[:size], gzip.decompress(output))

    def test_content_always_has_room(self):
        """However it is cut, and whatever it is."""
        mib = archives.noise(archives.MIB)
        for pieces in ([mib] * 8, chunks(mib, 100), [b'a' * 5_000_000]):
            padded = compression.PaddedGzip(
                compression.room_for_content(sum(map(len, pieces))))
            output = b''.join(map(padded.feed, pieces))
            self.assertEqual(b''.join(pieces), gzip.decompress(
                output + b''.join(padded.finish())))

    def test_padded_gzip_that_does_not_fit(self):
        padded = compression.PaddedGzip(1000)
        self.assertRaises(compression.NoRoom, padded.feed,
                          archives.noise(archives.MIB))


class SeenTest(testtools.TestCase):

    def test_every_name_is_new_once(self):
        self.patch(seen, '_MOST_RECENT', 10)
        names = [b'name %d' % one for one in range(95)]
        found = seen.Seen()
        self.assertTrue(all(map(found.add, names)))
        self.assertFalse(any(map(found.add, names)))
        self.assertTrue(all(name in found for name in names))
        self.assertNotIn(b'other', found)
