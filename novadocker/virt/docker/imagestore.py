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

"""The only door to Glance: image records, verified downloads, uploads."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import functools
import itertools
import os
import typing

import cryptography.exceptions
from cursive import exception as cursive_exception
from nova import context as nova_context
from nova import exception as nova_exception
from nova.image import glance
from nova import objects
from oslo_log import log as logging
from oslo_utils import units

from novadocker.archive import digests
from novadocker.archive import pipe
from novadocker import conf
from novadocker.i18n import _

CONF = conf.CONF
LOG = logging.getLogger(__name__)

_BLOCK_BYTES = 64 * units.Ki

# Failures that another attempt would meet again.
_FINAL = (nova_exception.ImageNotFound, nova_exception.ImageUnacceptable,
          nova_exception.ImageNotAuthorized,
          nova_exception.CertificateValidationFailed,
          cursive_exception.SignatureVerificationError)


class DownloadError(nova_exception.NovaException):
    """Glance broke off; another try, or another host, may succeed."""

    msg_fmt = _("Glance did not deliver image %(image_id)s: %(reason)s")


class DamagedData(DownloadError):
    """The data is not what Glance recorded, however it was delivered.

    Another try may succeed. When several did not, every host would find it
    so.
    """


class ImageStore:
    """:param api: in place of Nova's API of Glance"""

    def __init__(self, api: typing.Any = None):
        self._api = api or glance.API()
        self._downloads = api or glance.GlanceImageServiceV2(_Unhashed())

    def get(self, context: nova_context.RequestContext,
            image_id: str) -> dict[str, typing.Any]:
        """An image's record, as ``nova.image.glance.API.get`` has it."""
        record: dict[str, typing.Any] = self._api.get(context, image_id)
        return record

    def data(self, context: nova_context.RequestContext,
             image: Mapping[str, typing.Any],
             trusted_certs: 'objects.TrustedCerts | None',
             ) -> Iterator[bytes]:
        """An image's data, in blocks.

        Its hash, and its signature where one is demanded, are known to be
        right only when the iterator has come to its end.

        :param image: the record
        :param trusted_certs: ids of certificates that the user trusts, as
            TrustedCerts; None for Nova's defaults
        :raises: DownloadError and DamagedData, which may not happen
            again; ImageUnacceptable and Nova's other exceptions, which would
        """
        demands_signature = _demands_signature(trusted_certs)
        source = _shared_file(image['id'], demands_signature)
        return _compared(source or self._download(
            context, image['id'],
            self._verified if demands_signature else self._plain,
            trusted_certs), image)

    def upload(self, context: nova_context.RequestContext, image_id: str,
               record: Mapping[str, typing.Any],
               data: Iterable[bytes]) -> None:
        """Complete the record of a new image, and give it its data.

        The first block is awaited before Glance is called, which would
        break off a request that pauses for long.
        """
        blocks = iter(data)
        first = next(blocks, b'')
        self._api.update(
            context, image_id, record, purge_props=False,
            data=_Reader(itertools.chain([first], blocks)))

    def _download(self, context: nova_context.RequestContext, image_id: str,
                  blocks: Callable[..., Iterable[bytes]],
                  trusted_certs: 'objects.TrustedCerts | None',
                  ) -> Iterator[bytes]:
        try:
            yield from blocks(context, image_id, trusted_certs)
        except _FINAL:
            raise
        except cryptography.exceptions.InvalidSignature as err:
            raise nova_exception.ImageUnacceptable(
                image_id=image_id,
                reason=_('its signature does not match its data')) from err
        except Exception as err:
            raise DownloadError(
                image_id=image_id, reason=err) from err

    def _plain(self, context: nova_context.RequestContext, image_id: str,
               _trusted_certs: object) -> Iterable[bytes]:
        blocks: Iterable[bytes] = self._downloads.download(context, image_id)
        return blocks

    def _verified(self, context: nova_context.RequestContext, image_id: str,
                  trusted_certs: 'objects.TrustedCerts | None',
                  ) -> Iterable[bytes]:
        certs = trusted_certs and objects.TrustedCerts(ids=trusted_certs.ids)
        return pipe.written_by(lambda target: self._downloads.download(
            context, image_id, data=target, trusted_certs=certs))


class _Unhashed(glance.GlanceClientWrapper):
    """Nova's calls of glanceclient, less its check of what it downloads.

    It hashes block by block before it hands on each; here that is done
    beside the stream, once.
    """

    def call(self, context: nova_context.RequestContext, version: int,
             method: str, controller: str | None = None,
             args: Iterable[object] | None = None,
             kwargs: Mapping[str, object] | None = None) -> typing.Any:
        if method == 'data':
            kwargs = {**(kwargs or {}), 'do_checksum': False}
        return super().call(context, version, method, controller, args,
                            kwargs)


class _Reader:
    """An iterator as the file object that glanceclient reads.

    However much is asked for, at most 64 KiB are returned: a Glance served
    by uwsgi fails on larger blocks.
    """

    def __init__(self, blocks: Iterator[bytes]):
        self._blocks = blocks
        self._rest = memoryview(b'')

    def read(self, size: int = _BLOCK_BYTES) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b''))
        wanted = min(size, _BLOCK_BYTES) if size >= 0 else _BLOCK_BYTES
        block = bytes(self._rest[:wanted])
        self._rest = self._rest[wanted:]
        return block


def _demands_signature(
        trusted_certs: 'objects.TrustedCerts | None') -> bool:
    """As ``nova.image.glance`` decides it."""
    return bool(trusted_certs or CONF.glance.verify_glance_signatures or (
        CONF.glance.enable_certificate_validation and
        CONF.glance.default_trusted_certificate_ids))


def _shared_file(image_id: str,
                 demands_signature: bool) -> Iterator[bytes] | None:
    """The archive that an operator put in place of the download, if any.

    Nova verifies signatures only of what it downloads itself.
    """
    if not CONF.docker.shared_directory:
        return None
    path = os.path.join(CONF.docker.shared_directory, image_id)
    if not os.path.isfile(path):
        return None
    if demands_signature:
        LOG.info('Not taking image %s from %s, as its signature is to be '
                 'verified', image_id, path)
        return None
    LOG.info('Taking image %s from %s', image_id, path)
    return _file_blocks(path)


def _file_blocks(path: str) -> Iterator[bytes]:
    with open(path, 'rb') as archive:
        yield from iter(functools.partial(archive.read, _BLOCK_BYTES), b'')


def _compared(blocks: Iterable[bytes],
              image: Mapping[str, typing.Any]) -> Iterator[bytes]:
    """The blocks; an error after the last if Glance recorded others.

    A length is compared only where the image is shorter: of a longer one
    the sanitiser takes no more than Glance recorded.
    """
    algorithm, recorded = _recorded_hash(image)
    taken = digests.Digest(algorithm) if algorithm else None
    length = 0
    for block in blocks:
        length += len(block)
        if taken:
            taken.update(block)
        yield block
    if length < (image.get('size') or 0):
        raise DamagedData(image_id=image['id'], reason=_(
            'the data ends after %(length)d bytes, of %(size)d that it '
            'recorded') % {'length': length, 'size': image['size']})
    if taken and taken.hexdigest() != recorded:
        raise DamagedData(image_id=image['id'], reason=_(
            'the data has another %s than it recorded') % algorithm)


def _recorded_hash(
        image: Mapping[str, typing.Any]) -> tuple[str | None, str | None]:
    """Algorithm and digest; images of before 2018 have an MD5 only."""
    if image.get('os_hash_algo'):
        return image['os_hash_algo'], image['os_hash_value']
    if image.get('checksum'):
        return 'md5', image['checksum']
    return None, None
