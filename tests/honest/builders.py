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

"""Archives of Nix and Bazel, and of people who pack an archive anew."""

import gzip
import io
import lzma

from tests.data import archives
from tests.honest import corpus
from tests.honest import tars

# Nix stamps with the second after the epoch, Bazel with 2023.
_NIX_TIME = '1970-01-01T00:00:01+00:00'
_BAZEL_S = 1672560000


def _pretty(value) -> bytes:
    """As jq and json.dumps(indent=4) write it."""
    return archives.json.dumps(value, indent=4).encode() + b'\n'


# nixpkgs pkgs/build-support/docker/stream_layered_image.py and default.nix

def _nix_store(write, name: str, data: bytes, absolute: str = '/') -> bytes:
    """A layer of one store path."""
    path = absolute + 'nix/store/' + archives.hexadecimal(name.encode())[:32]
    return tars.archive(
        write(absolute + 'nix/', kind=tars.DIRECTORY, mode=0o755),
        write(absolute + 'nix/store/', kind=tars.DIRECTORY, mode=0o755),
        write('%s-%s/' % (path, name), kind=tars.DIRECTORY, mode=0o555),
        write('%s-%s/%s' % (path, name, name), data, mode=0o555),
        blocking=tars.RECORD)


def _nix_documents(image, names, legacy=()):
    """A config and a manifest for people to read."""
    config = _pretty(image.document)
    name = archives.hexadecimal(config) + '.json'
    return [(name, config), *legacy, ('manifest.json', _pretty([{
        'Config': name, 'RepoTags': ['it-runs:1'], 'Layers': names}]))]


def _nix_image(program, *stores):
    """Layers of store paths below the one that links to them."""
    write = tars.gnu
    customisation = tars.archive(
        write('./', kind=tars.DIRECTORY, mode=0o755),
        *corpus.base_members(write, program, './'),
        write('./app/', kind=tars.DIRECTORY, mode=0o755),
        write('./app/run', b'echo it runs\n', mode=0o755),
        blocking=tars.RECORD)
    return corpus.of_layers(
        *stores, customisation, created=_NIX_TIME,
        history=[{'created': _NIX_TIME,
                  'comment': "store paths: ['/nix/store/x']"}
                 for _layer in (*stores, customisation)])


@corpus.written_by('nix dockerTools.streamLayeredImage')
def nix_stream_layered_image(program):
    """Python's tarfile as a stream; absolute names within the layers."""
    image = _nix_image(program, _nix_store(tars.python, 'a', b'first'),
                       _nix_store(tars.python, 'b', b'second'))
    names = [archives.hexadecimal(layer) + '/layer.tar'
             for layer in image.layers]
    return tars.archive(
        *[tars.python(*item) for item in zip(names, image.layers)],
        *[tars.python(*item) for item in _nix_documents(image, names)],
        blocking=tars.RECORD), image


@corpus.written_by('nix dockerTools.buildLayeredImage')
def nix_build_layered_image(program):
    image = _nix_image(program, _nix_store(tars.python, 'a', b'first'))
    names = [archives.hexadecimal(layer) + '/layer.tar'
             for layer in image.layers]
    return gzip.compress(tars.archive(
        *[tars.python(*item) for item in zip(names, image.layers)],
        *[tars.python(*item) for item in _nix_documents(image, names)],
        blocking=tars.RECORD), mtime=0), image


@corpus.written_by('nix dockerTools.buildImage')
def nix_build_image(program):
    """GNU tar sorted by name, without write permission, packed by pigz.

    The old layout's files stand beside each layer.
    """
    image = _nix_image(program, _nix_store(tars.gnu, 'a', b'first', ''))
    ids = [archives.hexadecimal(layer + b' json') for layer in image.layers]
    names = [one + '/layer.tar' for one in ids]
    files = {'repositories': archives.as_json({'it-runs': {'1': ids[0]}}),
             **dict(_nix_documents(image, names)),
             **dict(zip(names, image.layers))}
    for one in ids:
        files[one + '/json'] = archives.as_json(
            {'id': one, 'created': _NIX_TIME, 'Size': 1, 'checksum': 'x'})
        files[one + '/VERSION'] = b'1.0'
    folders = [one + '/' for one in ids]
    return gzip.compress(tars.archive(*[
        tars.gnu(name, kind=tars.DIRECTORY, mode=0o555, mtime=1)
        if name in folders else tars.gnu(name, files[name], mode=0o444)
        for name in sorted([*files, *folders])], blocking=tars.RECORD),
        mtime=0), image


# rules_oci oci/private/tarball.sh.tpl: an mtree given to bsdtar

def _bazel(program):
    write = tars.bsd
    base = tars.archive(
        write('./', kind=tars.DIRECTORY, mode=0o755),
        *corpus.base_members(write, program, './'))
    return corpus.of_layers(
        base, tars.archive(*corpus.app_members(write, './')),
        created='1970-01-01T00:00:00Z', history=[
            {'created_by': 'bazel', 'created': '1970-01-01T00:00:00Z'}])


def _bazel_file(name: str, data: bytes) -> bytes:
    return tars.bsd(name, data, mode=0o755, mtime=_BAZEL_S)


@corpus.written_by('rules_oci oci_load')
def rules_oci_docker(program):
    """Blobs with an ending, and no name for the image."""
    image = _bazel(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    names = [corpus.blob_name(layer) + '.tar.gz' for layer in layers]
    return tars.archive(
        _bazel_file(corpus.blob_name(image.config), image.config),
        *[_bazel_file(*item) for item in zip(names, layers)],
        _bazel_file('manifest.json', _pretty([{
            'Config': corpus.blob_name(image.config), 'RepoTags': [],
            'Layers': names}]))), image


@corpus.written_by('rules_oci oci_load of plain layers')
def rules_oci_docker_plain(program):
    """The ending says gzip whatever the layer is."""
    image = _bazel(program)
    names = [corpus.blob_name(layer) + '.tar.gz' for layer in image.layers]
    return tars.archive(
        _bazel_file(corpus.blob_name(image.config), image.config),
        *[_bazel_file(*item) for item in zip(names, image.layers)],
        _bazel_file('manifest.json', _pretty([{
            'Config': corpus.blob_name(image.config), 'RepoTags': ['it:1'],
            'Layers': names}]))), image


@corpus.written_by('rules_oci oci_load, format = "oci"')
def rules_oci_index(program):
    """The index first; its one row again for each name."""
    image = _bazel(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    nested = corpus.index(corpus.described(
        corpus.MANIFEST, manifest, platform=corpus.AMD64))
    index = _pretty({'schemaVersion': 2, 'manifests': [
        corpus.described(corpus.INDEX, nested, annotations={
            'org.opencontainers.image.ref.name': name})
        for name in ('it-runs:1', 'it-runs:latest')]})
    return tars.archive(
        _bazel_file('oci-layout', b'{ "imageLayoutVersion": "1.0.0" }'),
        *[_bazel_file(corpus.blob_name(one), one)
          for one in (nested, manifest, image.config, *layers)],
        _bazel_file('index.json', index)), image


# Archives that were unpacked and packed again

def _double(name: str) -> bytes:
    """AppleDouble: what macOS knows of a file beyond its data."""
    folder, slash, last = name.rpartition('/')
    return tars.bsd(folder + slash + '._' + last,
                    b'\0\x05\x16\x07\0\x02\0\0Mac OS X        ' + bytes(139),
                    mode=0o644)


@corpus.written_by('bsdtar of macOS on a layout')
def packed_on_macos(program):
    image = corpus.image(program)
    manifest = corpus.manifest(image.config, list(image.layers),
                               corpus.LAYER)
    files = {corpus.blob_name(one): one
             for one in (*image.layers, image.config, manifest)}
    files['index.json'] = corpus.index(
        corpus.described(corpus.MANIFEST, manifest))
    files['oci-layout'] = corpus.layout_file()
    parts = [tars.bsd('./', kind=tars.DIRECTORY, mode=0o755),
             tars.bsd('./.DS_Store', b'\0\0\0\1Bud1' + bytes(100)),
             tars.bsd('./._blobs', b'\0\x05\x16\x07' + bytes(100)),
             tars.bsd('./blobs/', kind=tars.DIRECTORY, mode=0o755),
             tars.bsd('./blobs/sha256/', kind=tars.DIRECTORY, mode=0o755)]
    for name, data in files.items():
        parts += [_double('./' + name), tars.bsd('./' + name, data, pax={
            'LIBARCHIVE.xattr.com.apple.quarantine': b'MDA4MTs',
            'SCHILY.xattr.com.apple.provenance': b'\1\2\0'})]
    return tars.archive(*parts), image


def _simple(image, write) -> bytes:
    return tars.archive(
        *[write('layer%d.tar' % number, layer)
          for number, layer in enumerate(image.layers)],
        write('config.json', image.config),
        write('manifest.json', archives.as_json([{
            'Config': 'config.json', 'RepoTags': None,
            'Layers': ['layer%d.tar' % number
                       for number in range(len(image.layers))]}])),
        blocking=tars.RECORD)


@corpus.written_by('gzip')
def packed_with_gzip(program):
    """With the name that the file had."""
    image = corpus.image(program)
    packed = io.BytesIO()
    with gzip.GzipFile('image.tar', 'wb', fileobj=packed, mtime=1) as target:
        target.write(_simple(image, tars.gnu))
    return packed.getvalue(), image


@corpus.written_by('zstd')
def packed_with_zstd(program):
    image = corpus.image(program)
    return archives.zstd_layer(_simple(image, tars.gnu)), image


@corpus.written_by('xz')
def packed_with_xz(program):
    image = corpus.image(program)
    return lzma.compress(_simple(image, tars.gnu), preset=1), image


@corpus.written_by('star')
def packed_with_star(program):
    image = corpus.image(program, tars.star)
    return _simple(image, tars.star), image


@corpus.written_by('git archive')
def packed_with_git(program):
    """A commit id goes ahead of everything."""
    image = corpus.image(program)
    comment = tars.extended('pax_global_header', {'comment': b'0' * 40},
                            b'g')
    return comment + _simple(image, tars.go), image
