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

"""Archives of tools on go-containerregistry, and of Jib and cosign."""

from tests.data import archives
from tests.honest import corpus
from tests.honest import tars


def _file(name: str, data: bytes) -> bytes:
    return tars.go(name, data)


# go-containerregistry pkg/v1/tarball/write.go

def tarball(image: archives.Image, pack=archives.gzip_layer,
            extension: str = '.tar.gz', tags=('it-runs:1',)) -> bytes:
    """The config first, named "sha256:..."; each layer once; no directories.
    """
    layers = [pack(layer) for layer in image.layers]
    names = [archives.hexadecimal(layer) + extension for layer in layers]
    return tars.archive(
        _file(archives.digest(image.config), image.config),
        *[_file(*item) for item in dict(zip(names, layers)).items()],
        _file('manifest.json', archives.as_json([{
            'Config': archives.digest(image.config), 'RepoTags': list(tags),
            'Layers': names}])))


@corpus.written_by('crane pull')
def crane_pull(program):
    image = corpus.image(program)
    return tarball(image, tags=['index.example/it-runs:1']), image


@corpus.written_by('crane pull of zstd layers')
def crane_pull_zstd(program):
    image = corpus.image(program)
    return tarball(image, archives.zstd_layer, '.tar.zst'), image


@corpus.written_by('crane pull by digest')
def crane_pull_untagged(program):
    """RepoTags is null, and an empty layer comes twice."""
    base, app = corpus.image(program).layers
    image = corpus.of_layers(base, tars.archive(), app, tars.archive())
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    names = [archives.hexadecimal(layer) + '.tar.gz' for layer in layers]
    return tars.archive(
        _file(archives.digest(image.config), image.config),
        *[_file(*item) for item in dict(zip(names, layers)).items()],
        _file('manifest.json', archives.as_json([{
            'Config': archives.digest(image.config), 'RepoTags': None,
            'Layers': names}]))), image


@corpus.written_by('crane pull --format=legacy, rules_docker join_layers')
def crane_legacy(program):
    """pkg/legacy/tarball/write.go; plain layers under ids."""
    image = corpus.image(program)
    config = archives.hexadecimal(image.config) + '.json'
    ids = [archives.hexadecimal(layer + b' v1') for layer in image.layers]
    parts = [_file(config, image.config)]
    for one, layer in zip(ids, image.layers):
        parts += [_file(one + '/layer.tar', layer),
                  _file(one + '/json', archives.as_json(
                      {'id': one, 'created': '0001-01-01T00:00:00Z',
                       'container_config': {'Cmd': ['']}})),
                  _file(one + '/VERSION', b'1.0')]
    return tars.archive(
        *parts, _file('manifest.json', archives.as_json([{
            'Config': config, 'RepoTags': ['it-runs:1'],
            'Layers': [one + '/layer.tar' for one in ids]}])),
        _file('repositories', archives.as_json(
            {'it-runs': {'1': ids[-1]}}))), image


@corpus.written_by('crane pull --format=oci, packed')
def crane_oci_of_docker(program):
    """pkg/v1/layout/write.go keeps the registry's own media types."""
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.docker_manifest(image.config, layers)
    manifests = corpus.index(corpus.described(
        corpus.DOCKER_MANIFEST, manifest, platform=corpus.AMD64),
        media_type=corpus.DOCKER_LIST)
    index = corpus.index(corpus.described(corpus.DOCKER_LIST, manifests))
    return tars.archive(
        *[tars.gnu('blobs/sha256/' + archives.hexadecimal(one), one)
          for one in (*layers, image.config, manifest, manifests)],
        tars.gnu('index.json', index),
        tars.gnu('oci-layout', corpus.layout_file()),
        blocking=tars.RECORD), image


@corpus.written_by('ko build --tarball')
def ko(program):
    """ko pkg/build/gobuild.go: no time, no owner, modes without write."""
    image = corpus.image(
        program, created='1970-01-01T00:00:00Z', author='github.com/ko-build',
        history=[{'created': '0001-01-01T00:00:00Z', 'created_by': 'base'},
                 {'author': 'ko', 'created_by': 'ko build ko://it/runs',
                  'created': '0001-01-01T00:00:00Z',
                  'comment': 'go build output, at /ko-app/runs'},
                 {'created': '0001-01-01T00:00:00Z', 'empty_layer': True}],
        config={'Env': [corpus.PATH, 'KO_DATA_PATH=/var/run/ko']})
    return tarball(image, tags=['ko.local/it-runs:latest']), image


@corpus.written_by('kaniko --tar-path')
def kaniko(program):
    """kaniko pkg/util/tar_util.go: an entry for "/", whiteouts at the end."""
    def pax(name, data=b'', **fields):
        return tars.go(name, data, **fields, pax={
            'mtime': b'1700000000.123456789'})
    base = corpus.base_members(tars.go, program)
    image = corpus.of_layers(
        tars.archive(*base),
        tars.archive(
            pax('/', kind=tars.DIRECTORY, mode=0o755),
            pax('app/', kind=tars.DIRECTORY, mode=0o755),
            pax('app/run', corpus.SCRIPT, mode=0o755),
            pax('app/again', kind=tars.HARD_LINK, link='app/run'),
            tars.go('etc/.wh.motd', mode=0)))
    return tarball(image), image


@corpus.written_by('kaniko --tar-path')
def kaniko_capability(program):
    """security.capability, in bytes that are no text."""
    capability = (b'\1\0\0\2\0\4\0\0' + bytes(12))
    image = corpus.odd(program, tars.go(
        'app/serve', b'#!/bin/sh\n', mode=0o755,
        pax={'SCHILY.xattr.security.capability': capability}))
    return tarball(image), image


# apko pkg/build/oci/index.go appends to a tarball of go-containerregistry

def _apko(program):
    image = corpus.image(
        program, tars.no_slash(tars.go), created='1970-01-01T00:00:00Z',
        author='github.com/chainguard-dev/apko',
        history=[{'author': 'apko', 'created_by': 'apko', 'comment': 'x',
                  'created': '1970-01-01T00:00:00Z'}] * 2)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    return image, corpus.manifest(image.config, layers)


@corpus.written_by('apko build')
def apko(program):
    """Each manifest under its digest, and an index of blobs without files.
    """
    image, manifest = _apko(program)
    written = tarball(image)[:-len(tars.END)]
    index = corpus.index(corpus.described(
        corpus.MANIFEST, manifest, platform=corpus.AMD64))
    return tars.archive(
        written, _file(archives.digest(manifest), manifest),
        _file('index.json', index)), image


@corpus.written_by('apko build --arch amd64,arm64')
def apko_two_architectures(program):
    """One row of manifest.json for each."""
    image, _manifest = _apko(program)
    other = corpus.of_layers(tars.archive(tars.go('arm', b'other')),
                             architecture='arm64')
    parts, rows = [], []
    for one, machine in ((image, 'amd64'), (other, 'arm64')):
        layers = [archives.gzip_layer(layer) for layer in one.layers]
        names = [archives.hexadecimal(layer) + '.tar.gz' for layer in layers]
        parts += [_file(archives.digest(one.config), one.config),
                  *[_file(*item) for item in zip(names, layers)]]
        rows.append({'Config': archives.digest(one.config),
                     'RepoTags': ['it-runs:1-' + machine], 'Layers': names})
    return tars.archive(*parts, _file('manifest.json',
                                      archives.as_json(rows))), image


# Jib jib-core image/ImageTarball.java and image/ReproducibleLayerBuilder.java

def _jib_member(name, data=b'', **fields):
    """Every entry has all its times in an extended header."""
    times = dict.fromkeys(('mtime', 'atime', 'ctime',
                           'LIBARCHIVE.creationtime'), b'1')
    return tars.java(name, data, mtime=1, pax=times, **fields)


def _jib(program, **config):
    history = {'created': '1970-01-01T00:00:00Z', 'author': 'Jib',
               'created_by': 'jib-maven-plugin:3.4.0', 'comment': 'classes'}
    return corpus.image(program, _jib_member, history=[history, history],
                        created='1970-01-01T00:00:00Z', config={
                            'ExposedPorts': {'8080/tcp': {}, '53/udp': {}},
                            'Volumes': {}, 'Labels': {}, 'WorkingDir': '/app',
                            **config})


@corpus.written_by('jib buildTar')
def jib_docker(program):
    image = _jib(program, Healthcheck={
        'Test': ['CMD-SHELL', 'true'], 'Interval': 3000000000, 'Retries': 3})
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    names = [archives.hexadecimal(layer) + '.tar.gz' for layer in layers]
    return tars.archive(
        *[tars.java(*item) for item in zip(names, layers)],
        tars.java('config.json', image.config),
        tars.java('manifest.json', archives.as_json([{
            'Config': 'config.json', 'RepoTags': ['it-runs:1'],
            'Layers': names}]))), image


@corpus.written_by('jib buildTar, format OCI')
def jib_oci(program):
    image = _jib(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    index = corpus.index(corpus.described(
        corpus.MANIFEST, manifest,
        annotations={'org.opencontainers.image.ref.name': 'it-runs:1'}))
    return tars.archive(
        *[tars.java(corpus.blob_name(one), one)
          for one in (*layers, image.config, manifest)],
        tars.java('oci-layout', b'{"imageLayoutVersion": "1.0.0"}'),
        tars.java('index.json', index)), image


# cosign pkg/oci/layout/write.go: signatures are images of the same index

def _cosigned(rows, blobs) -> bytes:
    """A layout of cosign save, packed with tar."""
    return tars.archive(
        tars.gnu('./', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./blobs/', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./blobs/sha256/', kind=tars.DIRECTORY, mode=0o755),
        *[tars.gnu('./' + corpus.blob_name(one), one) for one in blobs],
        tars.gnu('./index.json', corpus.index(*rows)),
        tars.gnu('./oci-layout', corpus.layout_file()), blocking=tars.RECORD)


def _signature(subject: bytes, kind: str):
    payload = archives.as_json({'critical': {
        'image': {'docker-manifest-digest': archives.digest(subject)},
        'type': 'cosign container image signature'}, 'optional': None})
    config = archives.as_json({
        'architecture': '', 'os': '', 'created': '0001-01-01T00:00:00Z',
        'history': [{'created': '0001-01-01T00:00:00Z'}], 'config': {},
        'rootfs': {'type': 'layers', 'diff_ids': [archives.digest(payload)]}})
    manifest = corpus.manifest(
        config, [payload], 'application/vnd.dev.cosign.simplesigning.v1+json')
    return [payload, config, manifest], corpus.described(
        corpus.MANIFEST, manifest,
        annotations={'kind': 'dev.cosignproject.cosign/' + kind})


@corpus.written_by('cosign save, packed')
def cosign_save(program):
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    signed, signature = _signature(manifest, 'sigs')
    attested, attestation = _signature(manifest, 'atts')
    row = corpus.described(corpus.MANIFEST, manifest, annotations={
        'kind': 'dev.cosignproject.cosign/image'})
    return _cosigned([row, signature, attestation], [
        *layers, image.config, manifest, *signed, *attested]), image


@corpus.written_by('cosign save of an index, packed')
def cosign_save_index(program):
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    nested = corpus.index(corpus.described(
        corpus.MANIFEST, manifest, platform=corpus.AMD64))
    signed, signature = _signature(nested, 'sigs')
    row = corpus.described(corpus.INDEX, nested, annotations={
        'kind': 'dev.cosignproject.cosign/imageIndex'})
    return _cosigned([row, signature], [
        *layers, image.config, manifest, nested, *signed]), image


@corpus.written_by('cosign attach sbom of syft, packed')
def cosign_large_sboms(program):
    """Bills of materials that speak of layers and configs themselves, and
    by their digests go first.
    """
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    rows = [corpus.described(corpus.MANIFEST, manifest, annotations={
        'kind': 'dev.cosignproject.cosign/image'})]
    blobs = []
    for size in (4_190_000, 4_190_000, 7_000):
        bill = archives.as_json({
            'schema': {'version': '16.0.0'}, 'artifacts': [
                {'id': '%d' % len(blobs), 'name': 'x' * size}],
            'source': {'metadata': {'manifest': 'e30=', 'config': 'e30=',
                                    'layers': [{'digest': 'sha256:0'}]}}})
        about = corpus.manifest(b'{}', [bill],
                                'application/vnd.syft+json')
        rows.append(corpus.described(corpus.MANIFEST, about))
        blobs += [bill, about]
    return _cosigned(rows, [*blobs, b'{}', *layers, image.config,
                            manifest]), image
