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

"""Archives of Docker Engine, from 20.10 to 29, and of buildx."""

from tests.data import archives
from tests.honest import corpus
from tests.honest import tars

_NAME = 'docker.io/library/it-runs:1'
_NAMED = {'io.containerd.image.name': _NAME,
          'org.opencontainers.image.ref.name': '1'}
_ATTESTATION = 'vnd.docker.reference.type'


def _tree(files: dict[str, bytes], links: dict[str, str] = {}) -> bytes:
    """A directory packed in the order of its names, directories too."""
    folders = {name[:at + 1] for name in [*files, *links]
               for at, letter in enumerate(name) if letter == '/'}
    return tars.archive(*[
        tars.go(name, kind=tars.DIRECTORY, mode=0o755)
        if name in folders else
        tars.go(name, files[name]) if name in files else
        tars.go(name, kind=tars.SYMLINK, link=links[name], mode=0o777)
        for name in sorted([*folders, *files, *links])])


def _encoded(value) -> bytes:
    """Go's json.Encoder ends with a line feed."""
    return archives.as_json(value) + b'\n'


# Engines up to 24: moby v20.10.24 image/tarexport/save.go

def _legacy(image: archives.Image) -> bytes:
    config = archives.hexadecimal(image.config) + '.json'
    files = {config: image.config}
    links: dict[str, str] = {}
    layers: list[str] = []
    paths: dict[bytes, str] = {}
    for number, layer in enumerate(image.layers):
        one = archives.hexadecimal(b'%d of ' % number + image.config)
        legacy = {'id': one, 'created': '1970-01-01T00:00:00Z', 'os': 'linux',
                  'container_config': {'Hostname': '', 'Cmd': None}}
        files[one + '/VERSION'] = b'1.0'
        files[one + '/json'] = archives.as_json(legacy)
        layers.append(one + '/layer.tar')
        if layer in paths:
            links[layers[-1]] = '../' + paths[layer]
        else:
            files[layers[-1]] = layer
            paths[layer] = layers[-1]
    files['manifest.json'] = _encoded([{
        'Config': config, 'RepoTags': ['it-runs:1'], 'Layers': layers}])
    files['repositories'] = _encoded(
        {'it-runs': {'1': layers[-1].partition('/')[0]}})
    return _tree(files, links)


@corpus.written_by('docker save 20.10 to 24')
def docker_20_10(program):
    image = corpus.image(program, docker_version='20.10.24',
                         container='0' * 64, container_config={'Cmd': ['sh']})
    return _legacy(image), image


@corpus.written_by('docker save 20.10 to 24')
def docker_20_10_layer_again(program):
    """A layer that the image has already becomes a link to it."""
    base, app = corpus.image(program).layers
    empty = tars.archive()
    image = corpus.of_layers(base, empty, app, empty, empty)
    return _legacy(image), image


# Engines 25 to 28: moby v25 to v28 image/tarexport/save.go

def _modern(image: archives.Image, named: bool = True) -> bytes:
    manifest = corpus.manifest(image.config, list(image.layers), corpus.LAYER)
    files = {corpus.blob_name(one): one
             for one in (*image.layers, image.config, manifest)}
    for number, _layer in enumerate(image.layers):
        legacy = archives.as_json({
            'id': '%064x' % number, 'created': '1970-01-01T00:00:00Z',
            'container_config': {'Hostname': ''}, 'os': 'linux',
            'config': None})
        files[corpus.blob_name(legacy)] = legacy
    files['index.json'] = corpus.index(corpus.described(
        corpus.MANIFEST, manifest,
        **({'annotations': _NAMED} if named else {})))
    files['manifest.json'] = _encoded([{
        'Config': corpus.blob_name(image.config),
        'RepoTags': ['it-runs:1'] if named else None,
        'Layers': [corpus.blob_name(layer) for layer in image.layers],
        'LayerSources': {
            archives.digest(layer): corpus.described(corpus.LAYER, layer)
            for layer in image.layers}}])
    files['oci-layout'] = b'{"imageLayoutVersion": "1.0.0"}'
    if named:
        files['repositories'] = _encoded({'it-runs': {
            '1': archives.hexadecimal(image.layers[-1])}})
    return _tree(files)


@corpus.written_by('docker save 25 to 28')
def docker_25(program):
    image = corpus.image(program)
    return _modern(image), image


@corpus.written_by('docker save 25 to 28')
def docker_28_by_id(program):
    """Saved by its id: no name anywhere."""
    image = corpus.image(program)
    return _modern(image, named=False), image


# The containerd image store, default of engine 29, and BuildKit's exporters:
# containerd core/images/archive/exporter.go sorts members by name

def _exported(blobs, index: bytes, manifest_json: list | None) -> bytes:
    files = {corpus.blob_name(one): one for one in blobs}
    files.update({'index.json': index, 'oci-layout': corpus.layout_file()})
    if manifest_json:
        files['manifest.json'] = archives.as_json(manifest_json)
    return _tree(files)


def _row(config: bytes, layers, tags=('it-runs:1',)) -> dict:
    return {'Config': corpus.blob_name(config), 'RepoTags': list(tags),
            'Layers': [corpus.blob_name(layer) for layer in layers]}


def _attestation(manifest: bytes) -> tuple[list[bytes], dict]:
    """BuildKit exporter/containerimage/writer.go: a statement as an image."""
    statement = archives.as_json({
        '_type': 'https://in-toto.io/Statement/v0.1',
        'predicateType': 'https://slsa.dev/provenance/v0.2',
        'subject': [{'name': 'pkg:docker/it-runs@1', 'digest': {
            'sha256': archives.hexadecimal(manifest)}}], 'predicate': {}})
    config = archives.as_json({
        'architecture': 'unknown', 'os': 'unknown', 'config': {},
        'rootfs': {'type': 'layers',
                   'diff_ids': [archives.digest(statement)]}})
    about = corpus.manifest(config, [statement],
                            'application/vnd.in-toto+json')
    return [statement, config, about], corpus.described(
        corpus.MANIFEST, about, platform=corpus.UNKNOWN, annotations={
            _ATTESTATION: 'attestation-manifest',
            'vnd.docker.reference.digest': archives.digest(manifest)})


def _platform(manifest: bytes, **platform: str) -> dict:
    return corpus.described(corpus.MANIFEST, manifest, platform=platform)


@corpus.written_by('docker save 29')
def docker_29_pulled(program):
    """An index of many platforms of which one was pulled.

    Manifests of others are there without their layers, as their indexes
    were fetched; some are not there at all.
    """
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    theirs = corpus.manifest(b'{"architecture":"arm64"}', [b'not pulled'])
    blobs, statement = _attestation(ours)
    nested = corpus.index(
        _platform(ours, **corpus.AMD64), statement,
        _platform(theirs, **corpus.ARM64),
        _platform(b'not fetched', architecture='s390x', os='linux'))
    index = corpus.index(corpus.described(corpus.INDEX, nested,
                                          annotations=_NAMED))
    return _exported([image.config, *layers, ours, theirs, nested, *blobs],
                     index, [_row(image.config, layers)]), image


@corpus.written_by('docker save --platform 29')
def docker_29_one_platform(program):
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    index = corpus.index(corpus.described(
        corpus.MANIFEST, ours, platform=corpus.AMD64, annotations=_NAMED))
    return _exported([image.config, *layers, ours], index,
                     [_row(image.config, layers)]), image


@corpus.written_by('docker save 29')
def docker_29_with_referrers(program):
    """Signatures that refer to the image stand beside it in the index."""
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    bundle = b'{"mediaType": "application/vnd.dev.sigstore.bundle"}'
    signature = corpus.manifest(
        b'{}', [bundle], 'application/vnd.dev.sigstore.bundle.v0.3+json',
        config_type='application/vnd.oci.empty.v1+json',
        artifactType='application/vnd.dev.sigstore.bundle.v0.3+json',
        subject=corpus.described(corpus.MANIFEST, ours))
    index = corpus.index(
        corpus.described(corpus.MANIFEST, ours, annotations=_NAMED),
        corpus.described(corpus.MANIFEST, signature, annotations={
            'io.containerd.manifest.subject': archives.digest(ours)}))
    return _exported(
        [image.config, *layers, ours, signature, bundle, b'{}'], index,
        [_row(image.config, layers)]), image


@corpus.written_by('docker save 29 on arm64')
def docker_29_saved_on_arm(program):
    """manifest.json has the saver's platform, the index has both."""
    image = corpus.image(program)
    other = corpus.of_layers(tars.archive(tars.go('arm', b'other')),
                             architecture='arm64')
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    others = [archives.gzip_layer(layer) for layer in other.layers]
    ours = corpus.manifest(image.config, layers)
    theirs = corpus.manifest(other.config, others)
    nested = corpus.index(_platform(ours, **corpus.AMD64),
                          _platform(theirs, **corpus.ARM64))
    index = corpus.index(corpus.described(corpus.INDEX, nested,
                                          annotations=_NAMED))
    return _exported(
        [image.config, other.config, *layers, *others, ours, theirs, nested],
        index, [_row(other.config, others)]), image


@corpus.written_by('docker buildx build --output type=docker')
def buildx_docker(program):
    """BuildKit exporter/oci/export.go: Docker's media types, one manifest."""
    image = corpus.image(program, **{'moby.buildkit.buildinfo.v1': 'e30='})
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.docker_manifest(image.config, layers)
    index = corpus.index(corpus.described(
        corpus.DOCKER_MANIFEST, ours, annotations={
            **_NAMED, 'org.opencontainers.image.created':
            '2024-05-06T07:08:09Z'}))
    return _exported([image.config, *layers, ours], index,
                     [_row(image.config, layers)]), image


def _buildx_oci(program, pack=archives.gzip_layer, layer_type='+gzip'):
    image = corpus.image(program)
    layers = [pack(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers, corpus.LAYER + layer_type)
    blobs, statement = _attestation(ours)
    nested = corpus.index(_platform(ours, **corpus.AMD64), statement)
    index = corpus.index(*[
        corpus.described(corpus.INDEX, nested, annotations={
            **_NAMED, 'org.opencontainers.image.ref.name': tag})
        for tag in ('1', 'latest')])
    return _exported([image.config, *layers, ours, nested, *blobs], index,
                     None), image


@corpus.written_by('docker buildx build --output type=oci')
def buildx_oci(program):
    """With provenance, as is the default, under two names."""
    return _buildx_oci(program)


@corpus.written_by('docker buildx build --output type=oci,compression=zstd')
def buildx_oci_zstd(program):
    return _buildx_oci(program, archives.zstd_layer, '+zstd')


@corpus.written_by(
    'docker buildx build --output type=oci,compression=uncompressed')
def buildx_oci_plain(program):
    return _buildx_oci(program, bytes, '')


@corpus.written_by('docker buildx build --output type=oci,tar=false, packed')
def buildx_oci_directory(program):
    """containerd's store locks its index by a file, and has room for what is
    on its way.
    """
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    index = corpus.index(corpus.described(corpus.MANIFEST, ours))
    return tars.archive(
        tars.gnu('./', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./ingest/', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./blobs/', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./blobs/sha256/', kind=tars.DIRECTORY, mode=0o755),
        *[tars.gnu('./' + corpus.blob_name(one), one, mode=0o444)
          for one in (*layers, image.config, ours)],
        tars.gnu('./oci-layout', corpus.layout_file()),
        tars.gnu('./index.json', index), tars.gnu('./index.json.lock'),
        blocking=tars.RECORD), image


@corpus.written_by('docker buildx build --platform linux/amd64,linux/amd64/v2')
def buildx_two_variants(program):
    image = corpus.image(program)
    faster = corpus.of_layers(*image.layers, variant='v2')
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    theirs = corpus.manifest(faster.config, layers)
    nested = corpus.index(
        _platform(ours, **corpus.AMD64),
        _platform(theirs, **corpus.AMD64, variant='v2'))
    index = corpus.index(corpus.described(corpus.INDEX, nested))
    return _exported([image.config, faster.config, *layers, ours, theirs,
                      nested], index, None), image


@corpus.written_by('docker buildx build --platform linux/386')
def buildx_386(program):
    """A processor of 64 bits runs it as well."""
    image = corpus.image(program, architecture='386')
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    ours = corpus.manifest(image.config, layers)
    index = corpus.index(corpus.described(
        corpus.MANIFEST, ours,
        platform={'architecture': '386', 'os': 'linux'}))
    return _exported([image.config, *layers, ours], index,
                     [_row(image.config, layers)]), image
