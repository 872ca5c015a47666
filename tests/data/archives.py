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


"""Image archives, honest and hostile, made in memory.

``HONEST`` holds what container tools really write, oddities included; all of
it has to load. ``HOSTILE`` holds one attack or one kind of damage each; all
of it has to be refused, with a reason that names the cause. Unit tests run
them through the sanitiser, functional tests against a real engine.
"""

import bz2
from collections.abc import Callable
import dataclasses
import gzip
import hashlib
import io
import itertools
import json
import lzma
import random
import tarfile

try:
    from compression import zstd
except ImportError:
    from backports import zstd

from novadocker import archive

PASSWD = b'root:x:0:0:root:/root:/bin/sh\n'
ARCHITECTURE = 'amd64'
KIB = 1024
MIB = 1024 * KIB
TAG = 'novadocker/11111111-2222-3333-4444-555555555555:abc'
# As the driver has them.
RULES = archive.Rules(
    architecture=ARCHITECTURE, reserved_labels='org.openstack.nova.',
    volumes_label='org.openstack.nova.volumes',
    unpacked_label='org.openstack.nova.unpacked_bytes')


@dataclasses.dataclass(frozen=True)
class Case:
    """One archive.

    ``reason`` is a pattern of the refusal, empty for an honest archive.
    ``limits`` are arguments of the sanitiser's Limits.
    """

    name: str
    build: Callable[[], bytes]
    reason: str = ''
    limits: dict = dataclasses.field(default_factory=dict)


HONEST: dict[str, Case] = {}
HOSTILE: dict[str, Case] = {}


def honest(**limits):
    def register(build):
        name = build.__name__
        HONEST[name] = Case(name, build, limits=limits)
        return build
    return register


def hostile(reason, **limits):
    def register(build):
        name = build.__name__
        HOSTILE[name] = Case(name, build, reason, limits)
        return build
    return register


# Parts

def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def hexadecimal(data):
    return hashlib.sha256(data).hexdigest()


def member(name, data=b'', kind=tarfile.REGTYPE, link='', size=None,
           form=tarfile.GNU_FORMAT, pax=None, device=(0, 0), mode=0o755):
    """One member, header and padded data, as bytes."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(data) if size is None else size
    info.mode = mode
    info.devmajor, info.devminor = device
    info.pax_headers = pax or {}
    header = info.tobuf(tarfile.PAX_FORMAT if pax else form)
    return header + data + bytes(-len(data) % 512)


def directory(name):
    return member(name, kind=tarfile.DIRTYPE)


def symlink(name, link):
    return member(name, kind=tarfile.SYMTYPE, link=link)


def raw_header(name, size=b'00000000000\0', kind=b'0', magic=b'ustar  \0',
               link=b''):
    """A header with fields that tarfile would not write."""
    block = bytearray(512)
    block[:len(name)] = name
    block[100:108] = b'0000644\0'
    block[108:116] = block[116:124] = b'0000000\0'
    block[124:124 + len(size)] = size
    block[136:148] = b'00000000000\0'
    block[156:157] = kind
    block[157:157 + len(link)] = link
    block[257:257 + len(magic)] = magic
    block[148:156] = b' ' * 8
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block)


def record(text):
    """One pax record; below 100 bytes its length has two digits."""
    return b'%d %s\n' % (len(text) + 4, text)


def pax_member(records, name, data=b'', kind=b'x'):
    """A member behind an extended header with these very bytes."""
    return (raw_header(b'pax', b'%011o\0' % len(records), kind,
                       b'ustar\x0000') +
            records + bytes(-len(records) % 512) + member(name, data))


def tar(*members, end=True):
    return b''.join(members) + (bytes(1024) if end else b'')


def padded(data, blocking=10240):
    return data + bytes(-len(data) % blocking)


def as_json(value):
    return json.dumps(value).encode()


class Image:
    """Layers, lowest first, and the config that names them."""

    def __init__(self, *layers, config=None, **fields):
        self.layers = layers or (base_layer(), second_layer())
        self.document = {
            'architecture': ARCHITECTURE,
            'os': 'linux',
            'created': '2024-05-06T07:08:09.123456789Z',
            'config': {'Env': ['PATH=/bin'], 'Cmd': ['sh'],
                       **(config or {})},
            'history': [{'created': '2024-05-06T07:08:09Z',
                         'created_by': 'COPY . /'} for _ in self.layers],
            'rootfs': {'type': 'layers',
                       'diff_ids': [digest(one) for one in self.layers]},
            **fields}

    @property
    def config(self):
        return as_json(self.document)


def base_layer(*extra):
    return padded(tar(
        directory('etc/'), member('etc/passwd', PASSWD, mode=0o644),
        member('etc/group', b'root:x:0:\n', mode=0o644), directory('bin/'),
        member('bin/sh', b'\x7fELF' + b'program ' * 100), *extra))


def second_layer():
    return padded(tar(
        member('app', b'#!/bin/sh\n'), member('etc/.wh.motd'),
        member('bin/app', kind=tarfile.LNKTYPE, link='app'),
        symlink('bin/ls', '/bin/sh'), symlink('etc/mtab', '../proc/mounts')))


def one_layer(*members):
    """An archive whose one layer has these members above the usual ones."""
    return legacy(Image(base_layer(*members)))


def bare(*members):
    """An archive whose one layer has these members only."""
    return legacy(Image(padded(tar(*members))))


# Layouts

def manifest_json(config, layers, tags=('busybox:latest',), **more):
    return as_json([{'Config': config, 'RepoTags': list(tags),
                     'Layers': layers, **more}])


def simple(config, layers, names=None, manifest=None):
    """The least that loads: layers, config, manifest."""
    names = names or ['l%d/layer.tar' % index
                      for index in range(len(layers))]
    return tar(
        *[member(name, data) for name, data in zip(names, layers)],
        member('config.json', config),
        member('manifest.json', manifest_json('config.json', names)
               if manifest is None else manifest))


def packed(image, pack):
    return simple(image.config, [pack(layer) for layer in image.layers])


def legacy(image):
    """docker save of engines up to 24."""
    config = hexadecimal(image.config) + '.json'
    ids = [hexadecimal(b'id' + layer) for layer in image.layers]
    parts = []
    for one, layer in zip(ids, image.layers):
        parts += [directory(one + '/'), member(one + '/VERSION', b'1.0'),
                  member(one + '/json', as_json({'id': one})),
                  member(one + '/layer.tar', layer)]
    return tar(*parts, member(config, image.config),
               member('manifest.json', manifest_json(
                   config, [one + '/layer.tar' for one in ids])),
               member('repositories', as_json(
                   {'busybox': {'latest': ids[-1]}})))


def blob(data):
    return member('blobs/sha256/' + hexadecimal(data), data)


def descriptor(data, kind, **more):
    return {'mediaType': 'application/vnd.oci.image.' + kind,
            'digest': digest(data), 'size': len(data), **more}


def oci_manifest(config, layers):
    return as_json({
        'schemaVersion': 2,
        'mediaType': 'application/vnd.oci.image.manifest.v1+json',
        'config': descriptor(config, 'config.v1+json'),
        'layers': [descriptor(one, 'layer.v1.tar') for one in layers]})


def oci_index(*descriptors):
    return as_json({'schemaVersion': 2, 'manifests': list(descriptors)})


def oci_parts(image, pack=bytes):
    layers = [pack(layer) for layer in image.layers]
    manifest = oci_manifest(image.config, layers)
    return manifest, [directory('blobs/'), directory('blobs/sha256/'),
                      *[blob(one) for one in layers], blob(image.config),
                      blob(manifest)]


def oci(image, pack=bytes, index=None):
    """skopeo and buildah oci-archive: no manifest.json."""
    manifest, parts = oci_parts(image, pack)
    return tar(*parts,
               member('index.json', index or oci_index(
                   descriptor(manifest, 'manifest.v1+json'))),
               member('oci-layout', b'{"imageLayoutVersion":"1.0.0"}'))


def docker25(image):
    """docker save of engines 25 to 28: an OCI layout and manifest.json."""
    manifest, parts = oci_parts(image)
    names = ['blobs/sha256/' + hexadecimal(one) for one in image.layers]
    return tar(
        *parts,
        member('index.json', oci_index(
            descriptor(manifest, 'manifest.v1+json',
                       annotations={'io.containerd.image.name':
                                    'registry.example/busybox:latest'}))),
        member('manifest.json', manifest_json(
            'blobs/sha256/' + hexadecimal(image.config), names,
            LayerSources={})),
        member('oci-layout', b'{"imageLayoutVersion":"1.0.0"}'),
        member('repositories', b'{"busybox":{"latest":"x"}}'))


def docker29_index(image):
    """Nested: this platform, an absent one, an attestation."""
    manifest, parts = oci_parts(image)
    statement = as_json({'_type': 'https://in-toto.io/Statement/v0.1'})
    attestation = oci_manifest(b'{}', [statement])
    nested = oci_index(
        descriptor(manifest, 'manifest.v1+json',
                   platform={'architecture': 'amd64', 'os': 'linux'}),
        descriptor(b'absent', 'manifest.v1+json',
                   platform={'architecture': 'arm64', 'os': 'linux',
                             'variant': 'v8'}),
        descriptor(attestation, 'manifest.v1+json',
                   platform={'architecture': 'unknown', 'os': 'unknown'},
                   annotations={'vnd.docker.reference.type':
                                'attestation-manifest',
                                'vnd.docker.reference.digest':
                                digest(manifest)}))
    return [*parts, blob(attestation), blob(statement), blob(nested),
            member('index.json', oci_index(
                descriptor(nested, 'index.v1+json'))),
            member('oci-layout', b'{"imageLayoutVersion":"1.0.0"}')]


def podman(image):
    """podman save and skopeo docker-archive: links for the old layout."""
    layers = [hexadecimal(layer) + '.tar' for layer in image.layers]
    config = hexadecimal(image.config) + '.json'
    links = []
    for index, layer in enumerate(layers):
        one = hexadecimal(b'%d' % index)
        links += [directory(one + '/'), member(one + '/VERSION', b'1.0'),
                  symlink(one + '/layer.tar', '../' + layer),
                  member(one + '/json', as_json({'id': one}))]
    unique = dict(zip(layers, image.layers))
    return tar(*[member(*item) for item in unique.items()],
               member(config, image.config), *links,
               member('manifest.json', manifest_json(config, layers)),
               member('repositories', b'{}'))


def of_platforms(*rows, end=True):
    """An OCI layout of one image for several platforms."""
    parts, descriptors = [], []
    for architecture, variant, image in rows:
        manifest, blobs = oci_parts(image)
        parts += blobs
        platform = {'architecture': architecture, 'os': 'linux'}
        descriptors.append(descriptor(
            manifest, 'manifest.v1+json',
            platform={**platform, 'variant': variant} if variant
            else platform))
    return tar(*parts, member('index.json', oci_index(*descriptors)), end=end)


def noise(size):
    """Bytes that nothing packs, the same ones every time."""
    return random.Random(0).randbytes(size)


def zstd_layer(data):
    """As encoders write it that do not know the size beforehand."""
    encoder = zstd.ZstdCompressor()
    return encoder.compress(data) + encoder.flush()


def gzip_layer(data):
    return gzip.compress(data, 6, mtime=0)


def gzip_members(data, size=1000):
    return b''.join(gzip_layer(data[start:start + size])
                    for start in range(0, len(data), size))


# Honest

@honest()
def docker_20_10():
    return legacy(Image())


@honest()
def docker_25():
    return docker25(Image())


@honest()
def docker_29_nested_index():
    return tar(*docker29_index(Image()))


@honest()
def docker_29_with_manifest():
    image = Image()
    names = ['blobs/sha256/' + hexadecimal(one) for one in image.layers]
    return tar(*docker29_index(image), member('manifest.json', manifest_json(
        'blobs/sha256/' + hexadecimal(image.config), names)))


@honest()
def podman_save():
    return podman(Image())


@honest()
def podman_save_repeated_layer():
    empty = padded(tar())
    return podman(Image(base_layer(), empty, second_layer(), empty))


@honest()
def docker_repeated_layer_as_link():
    layers = [base_layer(), padded(tar()), padded(tar())]
    image = Image(*layers)
    names = ['a/layer.tar', 'b/layer.tar', 'c/layer.tar']
    return tar(member(names[0], layers[0]), member(names[1], layers[1]),
               symlink(names[2], '../b/layer.tar'),
               member('config.json', image.config),
               member('manifest.json', manifest_json('config.json', names)))


@honest()
def hard_linked_layer():
    layer = base_layer()
    image = Image(layer, layer)
    names = ['a/layer.tar', 'b/layer.tar']
    return tar(member(names[0], layer),
               member(names[1], kind=tarfile.LNKTYPE, link=names[0]),
               member('config.json', image.config),
               member('manifest.json', manifest_json('config.json', names)))


@honest()
def skopeo_oci_archive():
    return oci(Image())


@honest()
def oci_gzip_layers():
    return oci(Image(), gzip_layer)


@honest()
def oci_zstd_layers():
    return oci(Image(), zstd_layer)


@honest()
def oci_two_tags():
    image = Image()
    row = descriptor(oci_parts(image)[0], 'manifest.v1+json')
    return oci(image, index=oci_index(row, row))


@honest()
def oci_several_platforms():
    ours, theirs = Image(), Image(base_layer(), architecture='arm64')
    (ours_manifest, parts), (theirs_manifest, others) = map(
        oci_parts, (ours, theirs))
    index = oci_index(*[
        descriptor(manifest, 'manifest.v1+json',
                   platform={'architecture': machine, 'os': 'linux'})
        for manifest, machine in ((ours_manifest, 'amd64'),
                                  (theirs_manifest, 'arm64'))])
    return tar(*parts, *others, member('index.json', index))


@honest()
def crane_names():
    image = Image()
    layers = [gzip_layer(layer) for layer in image.layers]
    names = [hexadecimal(layer) + '.tar.gz' for layer in layers]
    config = digest(image.config)
    return tar(member(config, image.config),
               *[member(name, data) for name, data in zip(names, layers)],
               member('manifest.json', manifest_json(config, names)))


@honest()
def manifest_first():
    image = Image()
    names = ['0.tar', '1.tar']
    return tar(member('manifest.json', manifest_json('c.json', names)),
               member('c.json', image.config),
               *[member(*item) for item in zip(names, image.layers)])


@honest()
def gzip_layers():
    return packed(Image(), gzip_layer)


@honest()
def gzip_layers_of_many_members():
    return packed(Image(), gzip_members)


@honest()
def zstd_layers():
    return packed(Image(), zstd_layer)


@honest()
def zstd_layers_of_many_frames():
    """zstd:chunked, with the table of contents in a skippable frame."""
    def pack(data):
        return (zstd_layer(data[:700]) + zstd_layer(data[700:]) +
                b'\x50\x2a\x4d\x18\x04\0\0\0' + b'toc!')
    return packed(Image(), pack)


@honest()
def zstd_layer_of_zeros():
    layer = base_layer(member('swapfile', bytes(24 * MIB)))
    return packed(Image(layer), zstd_layer)


@honest()
def whole_gzip():
    return gzip_layer(legacy(Image()))


@honest()
def whole_gzip_many_members():
    return gzip_members(legacy(Image()), 5000)


@honest()
def whole_zstd():
    return zstd_layer(legacy(Image()))


@honest()
def whole_gzip_of_gzip_layers():
    return gzip_layer(packed(Image(), gzip_layer))


@honest()
def packed_anew_with_dot_names():
    image = Image()
    return padded(tar(
        directory('./'), directory('./l'),
        *[member('./l/%d' % index, layer)
          for index, layer in enumerate(image.layers)],
        member('./config.json', image.config),
        member('./manifest.json', manifest_json(
            'config.json', ['l/0', 'l/1']))))


@honest()
def packed_anew_on_macos():
    image = Image()
    double = b'\0\x05\x16\x07\0\x02\0\0Mac OS X        ' + bytes(100)
    names = ['0.tar', '1.tar']
    return padded(tar(
        member('._0.tar', double),
        member(names[0], image.layers[0], pax={
            'LIBARCHIVE.xattr.com.apple.provenance': 'AQAA',
            'mtime': '1700000000.123'}),
        member(names[1], image.layers[1]),
        member('._config.json', double), member('config.json', image.config),
        member('._manifest.json', double),
        member('manifest.json', manifest_json('config.json', names))))


@honest()
def odd_but_valid_config():
    image = Image(config={
        'Cmd': 'sh -c true', 'Entrypoint': None, 'Volumes': {'/data': {}},
        'Labels': {'Version': '1', 'version': '2'}, 'ExposedPorts': {
            '80/tcp': {}, '53/udp': {}}, 'OnBuild': [], 'User': '1000:1000',
        'Healthcheck': {'Test': ['CMD', 'true'], 'Interval': 5 * 10 ** 9},
        'StopSignal': 'SIGQUIT', 'StopTimeout': 5, 'Shell': ['/bin/sh', '-c'],
        'AttachStdin': False, 'Hostname': 'abc', 'MacAddress': ''},
        container='0' * 64, docker_version='20.10.24', variant='v2',
        author='Ångström <a@example.org>', created=None)
    return legacy(image)


@honest()
def config_without_platform():
    image = Image()
    del image.document['architecture'], image.document['os']
    return legacy(image)


@honest()
def large_bill_of_materials():
    sbom = b'{"spdxVersion": "SPDX-2.3", "x": "' + b'a' * 5 * MIB + b'"}'
    return tar(blob(sbom), docker25(Image()), end=False)


@honest()
def layer_with_two_roots():
    """To the engine a slash in front makes another name."""
    return one_layer(directory('./'), directory('/'),
                     member('/etc/passwd', PASSWD))


@honest()
def layer_with_odd_times():
    return one_layer(member('before', b'x', pax={'mtime': '-1.5'}),
                     member('late', b'x', pax={
                         'mtime': '99999999999.', 'atime': '1',
                         'uid': '3000000000', 'gid': '3000000000'}))


@honest()
def layer_without_end_mark():
    return legacy(Image(tar(member('etc/passwd', PASSWD), end=False)))


@honest()
def ports_of_a_range():
    """EXPOSE 49152-65535 and some, as the builder writes it out."""
    ports = ['%d/tcp' % port for port in range(49150, 65536)]
    return legacy(Image(config={'ExposedPorts': {port: {}
                                                 for port in ports}}))


@honest()
def oci_levels_of_one_architecture():
    return of_platforms(('amd64', 'v3', Image(second_layer(), base_layer())),
                        ('amd64', '', Image()),
                        ('amd64', 'v2', Image(second_layer())))


@honest()
def oci_of_a_higher_level_only():
    return of_platforms(('amd64', 'v2', Image()))


@honest()
def oci_for_32_bits_too():
    return of_platforms(
        ('386', '', Image(base_layer(), architecture='386')),
        ('amd64', '', Image()))


@honest()
def image_for_32_bits():
    return legacy(Image(architecture='386'))


@honest()
def cosign_save():
    """The image, its signature and what was attested, side by side."""
    image = Image()
    manifest, parts = oci_parts(image)
    statement = b'{"critical": {"layers": []}}'
    document = as_json({'architecture': '', 'os': '', 'config': {}, 'rootfs': {
        'type': 'layers', 'diff_ids': [digest(statement)]}})
    beside = {
        kind: as_json({
            'schemaVersion': 2, 'config': descriptor(
                document, 'config.v1+json'),
            'layers': [{**descriptor(statement, ''), 'mediaType': media}]})
        for kind, media in (
            ('sigs', 'application/vnd.dev.cosign.simplesigning.v1+json'),
            ('atts', 'application/vnd.dsse.envelope.v1+json'))}
    rows = [descriptor(data, 'manifest.v1+json', annotations={
        'kind': 'dev.cosignproject.cosign/' + kind})
        for kind, data in (('sigs', beside['sigs']), ('image', manifest),
                           ('atts', beside['atts']))]
    return tar(*parts, blob(statement), blob(document),
               *map(blob, beside.values()),
               member('index.json', oci_index(*rows)))


@honest()
def docker_28_of_two_platforms_made_on_arm64():
    """manifest.json names the platform of the engine, index.json all."""
    theirs = Image(base_layer(), architecture='arm64')
    return tar(of_platforms(('arm64', 'v8', theirs), ('amd64', '', Image()),
                            end=False),
               member('manifest.json', manifest_json(
                   'blobs/sha256/' + hexadecimal(theirs.config),
                   ['blobs/sha256/' + hexadecimal(theirs.layers[0])])))


@honest()
def zstd_layer_that_repeats_itself():
    """Over more than gzip looks back; zstd makes a hundredth of it."""
    return packed(Image(base_layer(member('repeated', noise(MIB) * 16))),
                  zstd_layer)


@honest()
def whole_xz():
    return lzma.compress(legacy(Image()))


@honest()
def whole_xz_of_the_highest_level():
    return lzma.compress(legacy(Image()), preset=9)


@honest()
def whole_xz_of_padded_streams():
    data = legacy(Image())
    return (lzma.compress(data[:3000]) + bytes(8) +
            lzma.compress(data[3000:]) + bytes(4))


@honest()
def whole_bzip2():
    """By pbzip2, which makes a stream of every block."""
    data = legacy(Image())
    return bz2.compress(data[:3000]) + bz2.compress(data[3000:])


@honest()
def xz_layers():
    return packed(Image(), lzma.compress)


@honest()
def bzip2_layers():
    return packed(Image(), bz2.compress)


@honest()
def names_that_look_compressed():
    """The engine would take such a layer for a compressed one."""
    return packed(Image(*[padded(tar(member(name, b'x'))) for name in (
        'BZh91AY', '\udcfd7zXZ', 'P*M\x18', '\x1f\udc8b\x08',
        '(\udcb5/\udcfd')]), bytes)


@honest()
def archive_whose_name_looks_compressed():
    return tar(member('BZh91AY', b'{}'), legacy(Image()))


@honest()
def layer_with_attributes_of_fuse_overlayfs():
    """buildah in a container leaves them; the engine asks for others."""
    return one_layer(member('data', b'', pax={
        'SCHILY.xattr.user.overlay.opaque': 'y',
        'SCHILY.xattr.user.overlay.origin': ''}))


@honest()
def layer_with_a_large_passwd_program():
    """busybox has a link for each of its programs."""
    return one_layer(
        member('bin/busybox', bytes(2 * MIB)),
        symlink('bin/passwd', 'busybox'),
        member('sbin/passwd', kind=tarfile.LNKTYPE, link='bin/busybox'),
        symlink('usr/bin', '/bin'), member('srv/group', bytes(2 * MIB)))


@honest()
def layer_of_nix_with_a_large_passwd_program():
    return legacy(Image(padded(tar(
        symlink('etc/passwd', '/nix/store/abc-users/etc/passwd'),
        member('nix/store/abc-users/etc/passwd', PASSWD),
        member('nix/store/def-busybox/bin/busybox', bytes(2 * MIB)),
        symlink('nix/store/def-busybox/bin/passwd', 'busybox'),
        symlink('nix/store/def-busybox/sbin', 'bin'),
        symlink('bin', '/nix/store/def-busybox/bin')))))


@honest()
def layer_with_members_below_a_link():
    """The engine follows it inside the image."""
    return one_layer(directory('usr/lib/'), symlink('lib', 'usr/lib'),
                     member('lib/libc.so', b'x'), directory('lib/proc/'))


@honest()
def layer_with_mount_points_elsewhere():
    """As those of a jail."""
    return one_layer(directory('dev/'), directory('proc/'), directory('sys/'),
                     symlink('srv/jail/dev', '/dev'),
                     symlink('srv/jail/proc', '/proc'),
                     member('srv/sys', b'x'))


@honest()
def layer_with_opaque_directories():
    return legacy(Image(
        base_layer(*[member('d%d/old' % one, b'x') for one in range(300)]),
        base_layer(*[member('d%d/.wh..wh..opq' % one)
                     for one in range(300)])))


@honest()
def layer_with_special_files():
    """Old base images hold device nodes, mail and supervisor images FIFOs."""
    return one_layer(
        directory('dev/'),
        member('dev/null', kind=tarfile.CHRTYPE, device=(1, 3)),
        member('dev/ram0', kind=tarfile.BLKTYPE, device=(1, 0)),
        member('var/spool/postfix/public/pickup', kind=tarfile.FIFOTYPE),
        symlink('usr/bin/passwd', '/bin/sh'))


@honest()
def layer_with_linked_passwd():
    return legacy(Image(padded(tar(
        symlink('etc/passwd', '/nix/store/abc-nss/etc/passwd'),
        member('nix/store/abc-nss/etc/passwd', PASSWD)))))


@honest()
def layer_with_long_names():
    return one_layer(
        member('d/' * 60 + 'gnu', b'x', form=tarfile.GNU_FORMAT),
        member('d/' * 60 + 'pax', b'x', form=tarfile.PAX_FORMAT),
        member('e/' * 150 + 'pax', b'x', pax={'SCHILY.xattr.user.a': 'b'}),
        member('/absolute', b'x'),
        symlink('bin/long', '/' + 'f/' * 100 + 'g'))


@honest()
def layer_with_links_above_its_root():
    return one_layer(symlink('bin/high', '../../../../proc/mounts'),
                     symlink('bin/absolute', '/etc/passwd'))


@honest()
def layer_with_comment():
    return one_layer(pax_member(
        record(b'comment=' + b'0123456789abcdef' * 2), 'x', kind=b'g'))


# Hostile: the archive itself

@hostile('leads out of the archive')
def traversal():
    return tar(member('../../etc/cron.d/evil', b'x'), legacy(Image()))


@hostile('absolute name')
def absolute_name():
    return tar(member('/etc/cron.d/evil', b'x'), legacy(Image()))


@hostile('absolute name')
def absolute_name_in_extended_header():
    return tar(pax_member(record(b'path=/etc/passwd'), 'harmless', b'x'),
               legacy(Image()))


@hostile('leads out of the archive')
def absolute_symlink():
    return tar(symlink('l0/layer.tar', '/etc/passwd'), legacy(Image()))


@hostile('leads out of the archive')
def escaping_symlink():
    return tar(symlink('l0/layer.tar', '../../etc/passwd'), legacy(Image()))


@hostile('leads out of the archive')
def escaping_hard_link():
    return tar(member('l', kind=tarfile.LNKTYPE, link='../etc/passwd'),
               legacy(Image()))


@hostile('is a block device')
def block_device():
    return tar(member('sda', kind=tarfile.BLKTYPE, device=(8, 0)),
               legacy(Image()))


@hostile('is a character device')
def character_device():
    return tar(member('mem', kind=tarfile.CHRTYPE, device=(1, 1)),
               legacy(Image()))


@hostile('is a FIFO')
def fifo():
    return tar(member('pipe', kind=tarfile.FIFOTYPE), legacy(Image()))


@hostile('unknown type')
def unknown_type():
    return tar(member('volume', kind=b'V'), legacy(Image()))


@hostile('is a sparse file')
def sparse_member_gnu():
    return tar(raw_header(b'hole', kind=b'S'), legacy(Image()))


@hostile('is a sparse file')
def sparse_member_pax():
    return tar(member('hole', b'x', pax={'GNU.sparse.major': '1',
                                         'GNU.sparse.minor': '0'}),
               legacy(Image()))


@hostile('names 2 images')
def two_images():
    image = Image()
    row = json.loads(manifest_json('config.json', ['0', '1']))
    return simple(image.config, image.layers, ['0', '1'],
                  as_json(row + row))


@hostile('names 0 images')
def no_image():
    return simple(b'{}', [], manifest=b'[]')


@hostile('leads to 2 images')
def two_oci_images():
    one, two = Image(), Image(base_layer())
    (first, parts), (second, others) = oci_parts(one), oci_parts(two)
    return tar(*parts, *others, member('index.json', oci_index(
        descriptor(first, 'manifest.v1+json'),
        descriptor(second, 'manifest.v1+json'))))


@hostile('leads to 0 images')
def oci_of_other_platform_only():
    image = Image()
    return oci(image, index=oci_index(descriptor(
        oci_parts(image)[0], 'manifest.v1+json',
        platform={'architecture': 's390x', 'os': 'linux'})))


@hostile('leads to 0 images')
def oci_index_of_itself():
    nested = b'{"manifests": []}'
    row = descriptor(nested, 'index.v1+json')
    return tar(blob(nested), member('index.json', oci_index(row, row)))


@hostile('two members named "manifest.json"')
def duplicate_manifest():
    data = legacy(Image())
    manifest = member('manifest.json', manifest_json('c.json', ['0']))
    return tar(manifest, data)


@hostile('two members named "manifest.json"')
def duplicate_equal_manifest():
    image = Image(base_layer())
    manifest = manifest_json('config.json', ['0.tar'])
    return tar(member('manifest.json', manifest),
               simple(image.config, image.layers, ['0.tar'], manifest))


@hostile('two members named "manifest.json"')
def manifest_and_link():
    return tar(symlink('manifest.json', 'other'), legacy(Image()))


@hostile('two members named "0.tar"')
def layer_named_twice():
    image = Image(base_layer())
    return tar(member('0.tar', second_layer()),
               simple(image.config, image.layers, ['0.tar']))


@hostile('neither a manifest.json nor an index.json')
def missing_manifest():
    return tar(member('config.json', Image().config),
               member('0.tar', base_layer()))


@hostile('neither a manifest.json nor an index.json')
def empty_archive():
    return tar()


@hostile('is empty')
def no_bytes():
    return b''


@hostile('no tar archive, nor one packed')
def garbage():
    return b'This is no image at all. ' * 1000


@hostile('in the middle of')
def truncated_in_layer():
    return legacy(Image())[:4000]


@hostile('cut off after')
def truncated_between_members():
    return legacy(Image())[:-1024]


@hostile('cut off at its end')
def half_an_end_mark():
    return legacy(Image())[:-512]


@hostile('in the middle of')
def truncated_header():
    return legacy(Image())[:-1000]


@hostile('data follows the end')
def trailing_junk():
    return legacy(Image()) + b'junk'


@hostile('data follows the end')
def second_archive_behind():
    return legacy(Image()) + legacy(Image())


@hostile('gzip data of the archive is cut off')
def truncated_gzip():
    return whole_gzip()[:-6]


@hostile('gzip data of the archive is damaged')
def junk_after_gzip():
    return whole_gzip() + b'junk'


@hostile('gzip data of the archive is damaged')
def flipped_gzip():
    data = bytearray(whole_gzip())
    data[-8] ^= 1
    return bytes(data)


@hostile('zstd data of the archive is cut off')
def truncated_zstd():
    return whole_zstd()[:-2]


@hostile('zstd data of the archive is damaged')
def junk_after_zstd():
    return whole_zstd() + b'junk'


@hostile('more than 8 MiB of memory')
def zstd_window_of_two_gib():
    # RFC 8878: exponent 21 over 2**10.
    return b'\x28\xb5\x2f\xfd\x00' + bytes([21 << 3]) + bytes(1000)


@hostile('more than 32 MiB of memory')
def zstd_layer_with_window_of_two_gib():
    return packed(Image(base_layer()),
                  lambda data: zstd_window_of_two_gib())


@hostile('larger than the 10000 bytes that the image service',
         max_archive_bytes=10_000)
def larger_than_declared():
    return legacy(Image())


@hostile('more than 4096 members')
def too_many_members():
    return tar(directory('d/') * 5000, legacy(Image()))


@hostile('two extended headers')
def endless_extended_headers():
    header = pax_member(record(b'mtime=1'), 'x')[:1024]
    return tar(header * 50, legacy(Image()))


@hostile('extended header of')
def huge_extended_header():
    return tar(raw_header(b'pax', b'%011o\0' % (2 * MIB), b'x'),
               bytes(2 * MIB))


@hostile('longer than 4096 bytes')
def endless_name():
    return tar(member('n' * 5000), legacy(Image()))


@hostile('name with a NUL')
def nul_in_extended_name():
    return tar(pax_member(record(b'path=good\0/../bad'), 'x'), legacy(Image()))


@hostile('extended header is damaged')
def damaged_extended_header():
    return tar(pax_member(b'99 path=a\n', 'x'), legacy(Image()))


@hostile('extended size .* is no number')
def size_only_python_reads():
    return tar(pax_member(record(b'size= 1_0'), 'x', b'0123456789'),
               legacy(Image()))


@hostile('extended uid of member "x" is no number')
def owner_no_number():
    return one_layer(pax_member(record(b'uid=root'), 'x'))


@hostile('extended mtime of member "x" is no number')
def time_no_number():
    return one_layer(pax_member(record(b'mtime=1e99'), 'x'))


@hostile('no octal number')
def size_no_octal():
    return tar(raw_header(b'x', b'0000000_010\0'), legacy(Image()))


@hostile('out of range')
def negative_size():
    return tar(raw_header(b'x', b'\xff' * 12), legacy(Image()))


@hostile('out of range')
def size_beyond_64_bits():
    return tar(raw_header(b'x', b'\x80\0\0' + b'\xff' * 9),
               legacy(Image()))


@hostile('in the middle of')
def oversize_member():
    return tar(raw_header(b'x', b'\x80' + bytes(5) + b'\x7f' + bytes(5)),
               bytes(100 * KIB))


@hostile('named as a directory')
def file_named_as_directory():
    return tar(raw_header(b'dir/', b'00000001000\0'), legacy(Image()))


@hostile('global extended header sets "path"')
def global_path():
    return tar(pax_member(record(b'path=x'), 'y', kind=b'g'), legacy(Image()))


@hostile('archive unpacks to more', max_unpacked_bytes=4 * MIB)
def gzip_bomb():
    return gzip_layer(tar(member('README', b'a' * 80 * MIB)))


# Hostile: manifest and config

def with_manifest(manifest):
    image = Image(base_layer())
    return simple(image.config, image.layers, ['0.tar'], manifest)


@hostile('manifest.json cannot be used: it is no valid JSON')
def manifest_no_json():
    return with_manifest(b'{]')


@hostile('no valid JSON')
def manifest_utf16():
    return with_manifest(manifest_json('config.json', ['0.tar']).decode()
                         .encode('utf-16'))


@hostile('manifest.json cannot be used: it is no JSON list')
def manifest_wrong_type():
    return with_manifest(b'{"Config": "config.json"}')


@hostile('manifest.json cannot be used: field Layers')
def manifest_layers_wrong_type():
    return with_manifest(b'[{"Config": "config.json", "Layers": [1]}]')


@hostile('manifest.json cannot be used: it is no JSON object')
def manifest_of_strings():
    return with_manifest(b'["config.json"]')


@hostile('differ in letter case')
def manifest_keys_collide():
    return with_manifest(b'[{"Config": "config.json", "Layers": ["0.tar"], '
                         b'"layers": ["../../../etc/passwd"]}]')


@hostile('"manifest.json" is larger than')
def manifest_too_large():
    return with_manifest(b'[' + b' ' * 5 * MIB + b']')


@hostile('nested too deeply')
def manifest_nested():
    return with_manifest(b'[' * 50_000 + b']' * 50_000)


@hostile('too many elements')
def manifest_of_a_million_lists():
    return with_manifest(b'[' + b'[],' * 1_000_000 + b'[]]')


@hostile('too many digits')
def manifest_with_endless_number():
    return with_manifest(b'[' + b'9' * 100_000 + b']')


@hostile('"gone.tar" is missing')
def missing_layer():
    return with_manifest(manifest_json('config.json', ['gone.tar']))


@hostile('"gone.json" is missing')
def missing_config():
    return with_manifest(manifest_json('gone.json', ['0.tar']))


@hostile('is missing')
def layer_path_on_the_host():
    return with_manifest(manifest_json('config.json', ['/etc/passwd']))


@hostile('is no image document')
def layer_as_config():
    return with_manifest(manifest_json('0.tar', ['0.tar']))


@hostile('is no layer')
def config_as_layer():
    return with_manifest(manifest_json('config.json', ['config.json']))


@hostile('go round in circles')
def links_in_circles():
    image = Image(base_layer())
    return tar(symlink('a', 'b'), symlink('b', 'a'), simple(
        image.config, image.layers, manifest=manifest_json(
            'config.json', ['a'])))


@hostile('manifest names 1 layers, the config 2')
def layers_do_not_match_config():
    image = Image()
    return simple(image.config, image.layers[:1])


def with_config(config=None, **fields):
    return legacy(Image(base_layer(), config=config, **fields))


def with_config_text(change):
    image = Image(base_layer())
    return simple(change(image.config), image.layers)


@hostile('too many elements')
def config_of_a_million_entries():
    return with_config({'Env': ['A=1'] * 200_000})


@hostile('config .*Env has more than 4096 entries')
def config_of_many_entries():
    return with_config({'Env': ['A=1'] * 5000})


@hostile('Env has an entry too long')
def config_with_long_environment():
    return with_config({'Env': ['A=' + 'x' * 200_000]})


@hostile('"config.json" describes no image')
def config_is_empty():
    return with_config_text(lambda text: b'{}')


@hostile('field rootfs must be an object')
def config_without_layers():
    return with_config(rootfs='layers')


@hostile('field diff_ids names no layer')
def config_names_no_layer():
    return with_config(rootfs={'type': 'layers', 'diff_ids': []})


@hostile('must be a list of sha256 digests')
def config_with_bad_digest():
    return with_config(rootfs={'type': 'layers', 'diff_ids': ['sha256:x']})


@hostile('more than 125 layers')
def too_many_layers():
    layers = [padded(tar())] * 200
    image = Image(*layers)
    return simple(image.config, layers[:1], manifest=manifest_json(
        'config.json', ['l0/layer.tar'] * 200))


@hostile('same key twice')
def config_key_twice():
    return with_config_text(lambda text: text.replace(
        b'"os"', b'"os": "linux", "os"'))


@hostile('differ in letter case')
def config_rootfs_in_capitals():
    return with_config_text(lambda text: text[:-1] + as_json(
        {'ROOTFS': {'type': 'layers', 'diff_ids': [digest(b'victim')]}}
    )[1:].join([b', ', b'']))


@hostile('differ in letter case')
def config_rootfs_with_long_s():
    return with_config_text(lambda text: text[:-1] +
                            ', "rootfſ": {}}'.encode())


@hostile('differ in letter case')
def config_inner_diff_ids():
    return with_config_text(lambda text: text.replace(
        b'"diff_ids"', b'"Diff_IDs": [], "diff_ids"'))


@hostile('NaN is no JSON')
def config_nan():
    return with_config_text(lambda text: text.replace(
        b'"linux"', b'"linux", "x": NaN'))


@hostile('half a character')
def config_lone_surrogate():
    return with_config_text(lambda text: text.replace(
        b'PATH=/bin', b'PATH=\\ud800'))


@hostile('holds a NUL')
def config_nul():
    return with_config({'User': 'root\0x'})


@hostile('no valid JSON')
def config_bad_utf8():
    return with_config_text(lambda text: text.replace(
        b'PATH=/bin', b'PATH=\xff'))


@hostile('field Env must be a list')
def config_wrong_type():
    return with_config({'Env': {'PATH': '/bin'}})


@hostile('field StopTimeout must be a whole number')
def config_bool_for_number():
    return with_config({'StopTimeout': True})


@hostile('field created is no time')
def config_bad_time():
    return with_config(created='yesterday')


@hostile('architecture says "s390x", but this host runs amd64')
def wrong_architecture():
    return with_config(architecture='s390x')


@hostile('os says "windows"')
def wrong_os():
    return with_config(os='windows')


@hostile('org.openstack.nova.uuid", which only the cloud may set')
def label_of_ours():
    return with_config({'Labels': {'org.openstack.nova.uuid': 'x'}})


@hostile('Volumes has more than 64')
def thousands_of_volumes():
    return with_config({'Volumes': {'/v%d' % one: {} for one in range(2000)}})


@hostile('Volumes names the bad path')
def volume_as_bind():
    return with_config({'Volumes': {'/etc:/host': {}}})


@hostile('is damaged: its digest')
def flipped_config():
    data = legacy(Image())
    return data.replace(b'PATH=/bin', b'PATH=/bim')


# Hostile: layers

@hostile('is not what the config says')
def flipped_layer():
    return legacy(Image()).replace(b'program program', b'program prograM', 1)


@hostile('is not what the config says')
def junk_under_known_diff_id():
    """The theft: the victim's digest in the config, anything as layer."""
    image = Image(base_layer())
    return simple(image.config, [padded(tar(member('junk', b'x')))])


@hostile('is not what the config says')
def empty_layer_under_known_diff_id():
    return simple(Image(base_layer()).config, [b''])


@hostile('is missing')
def no_layer_under_known_diff_id():
    image = Image(base_layer())
    return simple(image.config, [], manifest=manifest_json(
        'config.json', ['l0/layer.tar']))


@hostile('is damaged: its digest')
def flipped_blob():
    image = Image(base_layer())
    other = gzip.compress(image.layers[0], 1)
    return oci(image, gzip_layer).replace(
        blob(gzip_layer(image.layers[0])),
        member('blobs/sha256/' + hexadecimal(gzip_layer(image.layers[0])),
               other))


@hostile('neither a tar archive nor compressed')
def layer_of_junk():
    image = Image(b'junk' * 1000)
    return simple(image.config, image.layers)


@hostile('no tar archive')
def gzip_layer_of_junk():
    return packed(Image(b'junk' * 1000), gzip_layer)


@hostile('gzip data of layer .* is cut off')
def truncated_gzip_layer():
    return packed(Image(), lambda data: gzip_layer(data)[:-4])


@hostile('zstd data of layer .* is cut off')
def truncated_zstd_layer():
    return packed(Image(), lambda data: zstd_layer(data)[:-3])


@hostile('gzip data of layer .* is damaged')
def junk_after_gzip_layer():
    return packed(Image(), lambda data: gzip_layer(data) + b'junk')


@hostile('layers unpack to more', max_unpacked_bytes=16 * MIB)
def gzip_bomb_in_layer():
    return packed(Image(base_layer(member('zeros', bytes(64 * MIB)))),
                  gzip_layer)


@hostile('layers unpack to more', max_unpacked_bytes=16 * MIB)
def zstd_bomb_in_layer():
    return packed(Image(base_layer(member('zeros', bytes(64 * MIB)))),
                  zstd_layer)


@hostile('layers unpack to more', max_unpacked_bytes=MIB)
def layers_above_flavor_disk():
    return legacy(Image(base_layer(member('a', bytes(700 * KIB))),
                        base_layer(member('b', bytes(700 * KIB)))))


@hostile('more than 1000 files', max_members=1000)
def too_many_files_in_layers():
    return one_layer(*[member('f%d' % one) for one in range(2000)])


@hostile('is a sparse file')
def sparse_pax_in_layer():
    return one_layer(member('hole', b'x', pax={
        'GNU.sparse.major': '1', 'GNU.sparse.minor': '0',
        'GNU.sparse.name': 'hole', 'GNU.sparse.realsize': str(8 << 30)}))


@hostile('is a sparse file')
def sparse_pax_0_1_in_layer():
    return one_layer(member('hole', b'x', pax={
        'GNU.sparse.map': '0,1', 'GNU.sparse.size': str(8 << 30)}))


@hostile('is a sparse file')
def sparse_gnu_in_layer():
    return one_layer(raw_header(b'hole', kind=b'S'))


@hostile('two extended headers')
def endless_extended_headers_in_layer():
    return one_layer(pax_member(record(b'mtime=1'), 'x')[:1024] * 50)


@hostile('extended header of')
def huge_extended_header_in_layer():
    return one_layer(raw_header(b'pax', b'%011o\0' % (2 * MIB), b'x'),
                     bytes(2 * MIB))


@hostile('between a member and its own')
def global_header_in_between():
    return one_layer(pax_member(record(b'mtime=1'), 'x')[:1024],
                     pax_member(record(b'comment='), 'y', kind=b'g'))


@hostile('belongs to the engine')
def overlay_attribute_in_layer():
    return one_layer(member('d', b'', pax={
        'SCHILY.xattr.trusted.overlay.redirect': '/etc'}))


@hostile('two members named "etc/passwd"')
def path_twice_in_layer():
    """Engines refuse it themselves, without a reason that reaches users."""
    return one_layer(member('./etc//passwd', PASSWD))


@hostile('two members named "d"')
def symlink_replaced_by_directory():
    return one_layer(symlink('d', '/srv'), directory('d/'))


@hostile('two members named "pax"')
def global_header_twice():
    header = pax_member(record(b'comment=x'), 'y', kind=b'g')[:1024]
    return one_layer(header, header)


@hostile('two members named "d/.wh..wh..opq"')
def repeated_opaque_whiteouts():
    return one_layer(directory('d/'), *[
        member('d/.wh..wh..opq') for _time in range(1000)])


@hostile('may be another one, by way of links')
def opaque_whiteouts_by_other_names():
    return one_layer(directory('d/'), symlink('e', 'd'),
                     member('e/.wh..wh..opq'))


@hostile('more than 4096 opaque whiteouts')
def opaque_whiteouts_without_number():
    return one_layer(*[member('d/' * depth + '.wh..wh..opq')
                       for depth in range(50)],
                     *[member('d%d/.wh..wh..opq' % one)
                       for one in range(4096)])


@hostile('"dev" is a link, but must be a directory')
def dev_as_symlink():
    return one_layer(symlink('dev', '/var/lib/victim'))


@hostile('"proc" is a link, but must be a directory')
def proc_as_symlink():
    return one_layer(symlink('./proc', 'etc'))


@hostile('"sys" is a link, but must be a directory')
def sys_as_hard_link_to_symlink():
    return one_layer(symlink('l', '/var/lib/victim'),
                     member('/sys', kind=tarfile.LNKTYPE, link='l'))


@hostile('may be another one, by way of links')
def dev_as_symlink_below_link():
    return one_layer(symlink('d', '.'), symlink('d/dev', '/var/lib/victim'))


@hostile('may be another one, by way of links')
def dev_as_symlink_below_linked_link():
    return one_layer(directory('e/'), symlink('d', '/'),
                     member('e/f', kind=tarfile.LNKTYPE, link='d'),
                     symlink('e/f/dev', '/var/lib/victim'))


@hostile('may be another one, by way of links')
def dev_as_symlink_below_link_made_below_link():
    return one_layer(
        symlink('d', '.'), member('d/a', kind=tarfile.LNKTYPE, link='d'),
        symlink('a/dev', '/var/lib/victim'))


@hostile('leads out of its directory')
def traversal_in_layer():
    return one_layer(member('../../../etc/cron.d/evil', b'x'))


@hostile('leads out of the image')
def hard_link_out_of_layer():
    return one_layer(member('shadow', kind=tarfile.LNKTYPE,
                            link='../../../../../etc/shadow'))


@hostile('names no file')
def whiteout_of_parent():
    return one_layer(member('bin/.wh...'))


@hostile('unknown type')
def unknown_type_in_layer():
    return one_layer(member('x', kind=b'V'))


@hostile('in the middle of a member')
def layer_cut_in_member():
    return legacy(Image(base_layer()[:700]))


@hostile('follows its end-of-archive mark')
def junk_after_layer():
    return legacy(Image(base_layer() + b'junk'))


@hostile('too much padding')
def endless_padding_of_layer():
    return packed(Image(base_layer() + bytes(3 * MIB)), gzip_layer)


@hostile('damaged')
def bad_checksum_in_layer():
    layer = bytearray(base_layer())
    layer[512] ^= 1
    return legacy(Image(bytes(layer)))


def fifo_member(name):
    return member(name, kind=tarfile.FIFOTYPE)


@hostile('engine may open it as /etc/passwd')
def fifo_as_passwd():
    return bare(fifo_member('etc/passwd'))


@hostile('engine may open it as /etc/passwd')
def fifo_as_group_with_odd_name():
    return bare(fifo_member('.//etc/./group/.'))


@hostile('engine may open it as /etc/passwd')
def device_as_passwd():
    return bare(member('etc/passwd', kind=tarfile.CHRTYPE,
                device=(10, 130)))


@hostile('engine may open it as /etc/passwd')
def fifo_behind_symlink():
    return bare(fifo_member('run/pipe'),
                symlink('etc/passwd', '../run/./x/../pipe/'))


@hostile('engine may open it as /etc/passwd')
def fifo_behind_link_above_root():
    return bare(fifo_member('run/pipe'),
                symlink('etc/passwd', '../../../run/pipe'))


@hostile('engine may open it as /etc/passwd')
def fifo_behind_chain_over_layers():
    return legacy(Image(
        base_layer(symlink('run/b', 'c')),
        base_layer(fifo_member('run/c')),
        padded(tar(symlink('run/a', 'b'), symlink('etc/group', '/run/a')))))


@hostile('engine may open it as /etc/passwd')
def fifo_behind_hard_link():
    return bare(fifo_member('run/pipe'), member(
        'etc/passwd', kind=tarfile.LNKTYPE, link='run/pipe'))


@hostile('engine may open it as /etc/passwd')
def fifo_behind_linked_directory():
    return legacy(Image(base_layer(fifo_member('evil/passwd')),
                        padded(tar(symlink('etc', 'evil')))))


@hostile('"etc/passwd" is larger than 1048576 bytes')
def giant_passwd():
    return legacy(Image(padded(tar(member('etc/passwd', bytes(2 * MIB))))))


@hostile('"evil/big" is larger than')
def giant_group_behind_symlink():
    return legacy(Image(
        padded(tar(member('evil/big', bytes(2 * MIB)))),
        padded(tar(symlink('etc/group', '../evil/big')))))


@hostile('"evil/passwd" is larger than')
def giant_passwd_behind_linked_directory():
    return legacy(Image(
        padded(tar(directory('x/'), symlink('etc', 'x/../evil'))),
        padded(tar(member('evil/passwd', bytes(2 * MIB))))))


@hostile('"big" is larger than')
def giant_passwd_behind_climbing_link():
    return legacy(Image(
        padded(tar(directory('a/b/'), symlink('d', '/a/b'),
                   symlink('d/l', '..'))),
        padded(tar(symlink('etc/passwd', '/d/l/big'),
                   member('big', bytes(2 * MIB))))))


@hostile('"a/big" is larger than')
def giant_passwd_behind_link_below_link():
    """It climbs from where it is, not from where it is said to be."""
    return legacy(Image(
        padded(tar(directory('a/b/'), symlink('d', '/a/b'),
                   symlink('d/l', '../big'), member('a/big', bytes(2 * MIB)))),
        padded(tar(symlink('etc/passwd', '/d/l')))))


@hostile('"q/passwd" is larger than')
def giant_passwd_below_link():
    return legacy(Image(padded(tar(
        directory('etc/'), symlink('r', 'etc'), symlink('q', 'r'),
        member('q/passwd', bytes(2 * MIB))))))


@hostile('"big" is larger than')
def giant_passwd_behind_hard_link():
    return legacy(Image(padded(tar(
        member('big', bytes(2 * MIB)), symlink('l', 'big'),
        member('etc/passwd', kind=tarfile.LNKTYPE, link='l')))))


@hostile('too long a chain')
def endless_chain_of_links():
    links = [symlink('l%d' % one, 'l%d' % (one + 1))
             for one in reversed(range(200))]
    return bare(fifo_member('run/pipe'), *links,
                symlink('etc/passwd', '/l0'))


def everything():
    return list(itertools.chain(HONEST.values(), HOSTILE.values()))


def with_program(program, pack=bytes):
    """An image that really runs: ``program`` is a static executable."""
    layer = padded(tar(
        directory('etc/'), member('etc/passwd', PASSWD, mode=0o644),
        directory('bin/'), member('bin/busybox', program),
        symlink('bin/sh', 'busybox')))
    return Image(layer, config={'Cmd': ['/bin/sh', '-c', 'echo it runs']})


def members_of(data):
    """Name to content of an archive's files, by the standard library."""
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return {one.name: opened.extractfile(one).read()
                for one in opened if one.isfile()}


def config_of(written):
    """The config in an archive that the sanitiser wrote."""
    return json.loads(members_of(written)['config.json'])
