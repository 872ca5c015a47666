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

"""Manifests and OCI indexes: which config and layers make the image."""

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses

from novadocker.archive import documents
from novadocker.archive import imageconfig
from novadocker.archive import platforms
from novadocker.archive import words
from novadocker.i18n import _

_DOCKER_MANIFEST = 'manifest.json'
_ATTESTATION = 'vnd.docker.reference.type'
# A manifest whose layers are of other kinds is a signature, a bill of
# materials or another statement on an image, as are stored beside it.
_LAYER_KINDS = ('application/vnd.oci.image.layer.',
                'application/vnd.docker.image.rootfs.')


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Names of members in the archive, before links are followed."""

    config: str
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One image of several, and the platform that it is said to be for."""

    manifest: Manifest
    architecture: str
    variant: str = ''

    def runs_on(self, host: str) -> bool:
        """An image that does not tell its platform is for any."""
        return (not self.architecture or platforms.machine(self.architecture)
                in platforms.runnable(host))

    def rank(self, host: str) -> tuple[int, int]:
        if not self.architecture:
            return (0, 0)
        return platforms.rank(self.architecture, self.variant, host)


def best_for(host: str | None,
             images: Iterable[Candidate]) -> list[Manifest]:
    """Those that suit a host best; for any host all of them do."""
    if host is None:
        return [image.manifest for image in images]
    found = [image for image in images if image.runs_on(host)]
    best = min((image.rank(host) for image in found), default=None)
    return [image.manifest for image in found if image.rank(host) == best]


def read_docker_manifest(data: bytes) -> list[Manifest]:
    """``manifest.json`` of a docker-archive.

    It has a row for each image; apko makes one for each platform.
    """
    value = documents.parse(data, _DOCKER_MANIFEST)
    if not isinstance(value, list):
        raise documents.unusable(_DOCKER_MANIFEST, _('it is no JSON list'))
    rows = [documents.Fields(one, _DOCKER_MANIFEST) for one in value]
    return [Manifest(row.text('Config'), tuple(row.texts('Layers')))
            for row in rows]


def the_one(found: list[Manifest]) -> Manifest:
    """Of what ``manifest.json`` names."""
    if len(found) != 1:
        raise documents.unusable(_DOCKER_MANIFEST, _(
            'it names %d images, but an archive must hold exactly one') %
            len(found))
    return found[0]


def read_oci_index(data: bytes, find: Callable[[str], bytes | None],
                   host: str | None) -> Manifest:
    """``index.json`` of an OCI layout; indexes may be nested.

    Of images for several platforms the one that suits the host best is
    taken.

    :param find: gives the document of a digest, None when it is absent, as
        the platforms that were not saved are
    """
    found = best_for(host, _candidates(data, find, host))
    if len(found) != 1:
        raise documents.unusable('index.json', _(
            'it leads to %d images for this host, but an archive must hold '
            'exactly one') % len(found))
    return found[0]


def _candidates(data: bytes, find: Callable[[str], bytes | None],
                host: str | None) -> list[Candidate]:
    find_new = _each_once(find)
    found: list[Candidate] = []
    waiting = [documents.Fields(documents.parse(data, 'index.json'),
                                'index.json')]
    while waiting:
        for row in waiting.pop().rows('manifests'):
            document = (find_new(_digest(row)) if _is_wanted(row, host)
                        else None)
            if document is None:
                continue
            what = _('the manifest %s') % words.shown(_digest(row))
            fields = documents.Fields(documents.parse(document, what), what)
            if fields.has('manifests'):
                waiting.append(fields)
            elif _is_image(fields):
                found.append(_candidate(row, fields))
    return found


def _each_once(
        find: Callable[[str], bytes | None]) -> Callable[[str], bytes | None]:
    """Several tags of one image, and loops, come to the same document."""
    seen: set[str] = set()

    def find_new(digest: str) -> bytes | None:
        if digest in seen:
            return None
        seen.add(digest)
        return find(digest)

    return find_new


def _is_wanted(row: documents.Fields, host: str | None) -> bool:
    """Whether a descriptor is an image, not a statement on one, for us."""
    if row.text_mapping('annotations').get(_ATTESTATION):
        return False
    platform = row.fields('platform')
    found = platforms.machine(platform.text('architecture'))
    return (not found or not host or
            (found in platforms.runnable(host) and
             platform.text('os') in ('', 'linux')))


def _is_image(manifest: documents.Fields) -> bool:
    kinds = [row.text('mediaType') for row in manifest.rows('layers')]
    return not kinds or any(not kind or kind.startswith(_LAYER_KINDS)
                            for kind in kinds)


def _candidate(row: documents.Fields,
               manifest: documents.Fields) -> Candidate:
    platform = row.fields('platform')
    return Candidate(
        Manifest(blob_name(_digest(manifest.fields('config'))),
                 tuple(blob_name(_digest(one))
                       for one in manifest.rows('layers'))),
        platform.text('architecture'), platform.text('variant'))


def _digest(descriptor: documents.Fields) -> str:
    digest = descriptor.text('digest')
    if not imageconfig.DIGEST.fullmatch(digest):
        raise descriptor.refusal('digest', _('must be a sha256 digest'))
    return digest


def blob_name(digest: str) -> str:
    return 'blobs/' + digest.replace(':', '/')


def docker_manifest(config: str, tag: str, layers: list[str]) -> bytes:
    return documents.written([{'Config': config, 'RepoTags': [tag],
                               'Layers': layers}])
