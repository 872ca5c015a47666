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

"""Archives of skopeo, podman, buildah, umoci and KIWI."""

import lzma

from tests.data import archives
from tests.honest import corpus
from tests.honest import tars


def _file(name: str, data: bytes) -> bytes:
    return tars.go(name, data, mode=0o444)


# containers/image docker/internal/tarfile/writer.go

def docker_archive(image: archives.Image, tags=('it-runs:1',)) -> bytes:
    """skopeo copy docker-archive:, podman save, buildah push.

    Layers and the config come first, links of the old layout behind them.
    """
    layers = [archives.hexadecimal(layer) + '.tar' for layer in image.layers]
    config = archives.hexadecimal(image.config) + '.json'
    parts = [_file(*item) for item in dict(zip(layers, image.layers)).items()]
    parts.append(_file(config, image.config))
    one = ''
    for number, layer in enumerate(layers):
        legacy = {'parent': one} if one else {}
        one = archives.hexadecimal(b'%d in ' % number + image.config)
        parts += [
            tars.go(one + '/layer.tar', kind=tars.SYMLINK, link='../' + layer,
                    mode=0o777),
            _file(one + '/VERSION', b'1.0'),
            _file(one + '/json', archives.as_json({**legacy, 'id': one}))]
    names = ['localhost/' + tag for tag in tags]
    parts += [
        _file('manifest.json', archives.as_json([{
            'Config': config, 'RepoTags': names, 'Layers': layers}])),
        _file('repositories', archives.as_json({
            name.rpartition(':')[0]: {name.rpartition(':')[2]: one}
            for name in names}))]
    return tars.archive(*parts)


@corpus.written_by('skopeo copy docker-archive:')
def skopeo_docker_archive(program):
    image = corpus.image(program)
    return docker_archive(image), image


@corpus.written_by('podman save')
def podman_save(program):
    """Empty layers, which buildah makes for each instruction, are one."""
    base, app = corpus.image(program).layers
    empty = tars.archive()
    image = corpus.of_layers(empty, base, empty, app, empty)
    return docker_archive(image), image


@corpus.written_by('podman save -m')
def podman_save_two_tags(program):
    image = corpus.image(program)
    return docker_archive(image, ('it-runs:1', 'it-runs:latest')), image


# containers/image oci/archive/oci_dest.go packs a directory

def oci_archive(image: archives.Image, pack=archives.gzip_layer,
                layer_type: str = '+gzip', annotations: dict | None = None,
                **more) -> bytes:
    layers = [pack(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers,
                               corpus.LAYER + layer_type, **more)
    row = corpus.described(corpus.MANIFEST, manifest,
                           **({'annotations': annotations}
                              if annotations else {}))
    blobs = sorted({corpus.blob_name(one): one for one in
                    (*layers, image.config, manifest)}.items())
    return tars.archive(
        tars.go('blobs/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('blobs/sha256/', kind=tars.DIRECTORY, mode=0o755),
        *[tars.go(*item) for item in blobs],
        tars.go('index.json', archives.as_json(
            {'schemaVersion': 2, 'manifests': [row]})),
        tars.go('oci-layout', corpus.layout_file()))


@corpus.written_by('skopeo copy oci-archive:')
def skopeo_oci_archive(program):
    image = corpus.image(program)
    return oci_archive(image), image


@corpus.written_by('podman save --format oci-archive')
def podman_oci_archive(program):
    image = corpus.image(program)
    return oci_archive(image, annotations={
        'org.opencontainers.image.ref.name': 'localhost/it-runs:1'}), image


@corpus.written_by('skopeo copy --dest-compress-format zstd oci-archive:')
def skopeo_oci_zstd(program):
    image = corpus.image(program)
    return oci_archive(image, archives.zstd_layer, '+zstd'), image


@corpus.written_by('skopeo copy --dest-compress-format zstd:chunked')
def skopeo_zstd_chunked(program):
    """containers/storage pkg/chunked: a frame a file, tables in frames that
    decoders skip.
    """
    def pack(layer):
        table = b'{"version":1,"entries":[]}'
        return (b''.join(archives.zstd_layer(layer[start:start + 65536])
                         for start in range(0, len(layer), 65536)) +
                b'\x50\x2a\x4d\x18' + len(table).to_bytes(4, 'little') +
                table + b'\x50\x2a\x4d\x18\x40\0\0\0' + bytes(64))
    image = corpus.image(program)
    return oci_archive(image, pack, '+zstd', annotations={
        'io.github.containers.zstd-chunked.manifest-position': '1:2:3:1'},
        ), image


@corpus.written_by('buildah push oci-archive: of one that it squashed')
def buildah_squashed(program):
    layer = tars.archive(*corpus.base_members(tars.go, program),
                         tars.go('app/run', b'echo it runs\n'))
    image = corpus.of_layers(layer, config={'Labels': {
        'io.buildah.version': '1.28.2'}})
    return oci_archive(image), image


@corpus.written_by('buildah on a file system without root')
def buildah_rootless_attributes(program):
    """The kernel's own marks on directories of overlayfs by a user."""
    image = corpus.odd(program, tars.go(
        'data/', kind=tars.DIRECTORY, mode=0o755, pax={
            'SCHILY.xattr.user.overlay.impure': b'y',
            'SCHILY.xattr.user.overlay.origin': b'\0\xfb\x1d\0\1\x80'}))
    return docker_archive(image), image


# umoci oci/layer/tar_generate.go; a layout is packed with tar

@corpus.written_by('umoci repack, tar -C layout -c .')
def umoci_layout(program):
    """What no image needs any more stays until "umoci gc"."""
    image = corpus.image(program)
    layers = [archives.gzip_layer(layer) for layer in image.layers]
    manifest = corpus.manifest(image.config, layers)
    first = corpus.of_layers(image.layers[0])
    stale = corpus.manifest(first.config, layers[:1])
    index = corpus.index(corpus.described(
        corpus.MANIFEST, manifest,
        annotations={'org.opencontainers.image.ref.name': 'latest'}))
    names = {corpus.blob_name(one): one for one in (
        *layers, image.config, manifest, first.config, stale)}
    return tars.archive(
        tars.gnu('./', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./oci-layout', corpus.layout_file()),
        tars.gnu('./blobs/', kind=tars.DIRECTORY, mode=0o755),
        tars.gnu('./blobs/sha256/', kind=tars.DIRECTORY, mode=0o755),
        *[tars.gnu('./' + name, data) for name, data in names.items()],
        tars.gnu('./index.json', index), blocking=tars.RECORD), image


# KIWI kiwi/container/oci.py: umoci, then skopeo, then xz

def _kiwi(program) -> archives.Image:
    history = {'created': '2024-05-06T07:08:09.000000000Z',
               'created_by': 'KIWI 10.1.0', 'author': 'someone'}
    return corpus.image(
        program, author='someone', history=[history, history],
        config={'ExposedPorts': {'80': {}, '42': {}},
                'Volumes': {'/var/log': {}, '/tmp': {}},
                'Labels': {'org.openbuildservice.disturl': 'obs://a/b'}})


@corpus.written_by('kiwi-ng type="docker", compressed')
def kiwi_docker_xz(program):
    image = _kiwi(program)
    return lzma.compress(docker_archive(image), preset=1), image


@corpus.written_by('kiwi-ng type="oci"')
def kiwi_oci(program):
    image = _kiwi(program)
    return oci_archive(image, annotations={
        'org.opencontainers.image.ref.name': 'it-runs:1'}), image


@corpus.written_by('xz -T0, which packs blocks and streams')
def kiwi_docker_xz_threads(program):
    """KIWI's xz options are the operator's; parallel packers join streams."""
    image = _kiwi(program)
    archive = docker_archive(image)
    half = len(archive) // 2
    return (lzma.compress(archive[:half], preset=1) +
            lzma.compress(archive[half:], preset=1) + bytes(8)), image
