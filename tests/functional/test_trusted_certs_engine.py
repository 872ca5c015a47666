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

"""Signed images on a real engine, verified by Nova's own code."""

import base64
import datetime
import types

from castellan.common.objects import x_509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
import fixtures
from nova.image import glance as nova_glance
from oslo_utils.fixture import uuidsentinel as uuids

from tests.functional import nova_case

# Nova's own; the fixture of Glance puts itself in its place.
_ImageService = nova_glance.GlanceImageServiceV2


class KeyManager:
    """Certificates by id, as Barbican would keep them.

    ``authority`` signs; ``signer`` is signed by it, ``stranger`` is not.
    """

    def __init__(self):
        authority, stranger = (ec.generate_private_key(ec.SECP521R1())
                               for _ in range(2))
        self.key = ec.generate_private_key(ec.SECP521R1())
        self._certificates = {
            uuids.authority: _certificate('authority', authority.public_key(),
                                          'authority', authority),
            uuids.stranger: _certificate('stranger', stranger.public_key(),
                                         'stranger', stranger),
            uuids.signer: _certificate('signer', self.key.public_key(),
                                       'authority', authority)}

    def get(self, _context, certificate_id):
        return x_509.X509(self._certificates[certificate_id].public_bytes(
            serialization.Encoding.DER))

    def sign(self, data: bytes) -> dict[str, str]:
        """Image properties that say how the data is signed."""
        signature = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        return {
            'img_signature': base64.b64encode(signature).decode(),
            'img_signature_hash_method': 'SHA-256',
            'img_signature_key_type': 'ECC_SECP521R1',
            'img_signature_certificate_uuid': uuids.signer}


def _certificate(name, public_key, issuer, issuer_key):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    return x509.CertificateBuilder().subject_name(_name(name)).issuer_name(
        _name(issuer)).public_key(public_key).serial_number(
        x509.random_serial_number()).not_valid_before(
        now - day).not_valid_after(now + day).add_extension(
        x509.BasicConstraints(ca=name == issuer, path_length=None),
        critical=True).add_extension(
        x509.KeyUsage(True, *[False] * 4, name == issuer, *[False] * 3),
        critical=True).sign(issuer_key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(
        x509.oid.NameOID.COMMON_NAME, text)])


class TrustedCertsEngineTest(nova_case.NovaCase):
    backend_class = nova_case.RealBackend

    def setUp(self):
        super().setUp()
        self.keys = KeyManager()
        self.useFixture(fixtures.MonkeyPatch(
            'castellan.key_manager.API', lambda *_args: self.keys))
        # What Nova does with the blocks that glanceclient brings.
        service = _ImageService(client=self)
        service.show = self.glance.show
        self.glance.download = service.download

    def call(self, _context, _version, _method, args):
        """Glance's client, asked for an image's data."""
        data = self.glance.data(args[0])
        return _Blocks([data[:1000], data[1000:]])

    def _signed(self, data: bytes | None = None) -> str:
        """An image, and the signature of ``data`` or of its own."""
        archive = self.backend.image(Cmd=['sh'])
        return self.add_archive(archive, **self.keys.sign(data or archive))

    def _boot(self, image, certificate, expected_state):
        return self.boot(image, networks='none',
                         trusted_image_certificates=[certificate],
                         expected_state=expected_state)

    def test_signed_by_a_trusted_certificate(self):
        server = self._boot(self._signed(), uuids.authority, 'ACTIVE')
        self._delete_all_and_compare(server)

    def test_certificate_that_the_user_does_not_trust(self):
        server = self._boot(self._signed(), uuids.stranger, 'ERROR')
        self.assertIn('certificate', server['fault']['message'])
        self._delete_all_and_compare(server)

    def test_data_that_was_not_signed(self):
        server = self._boot(self._signed(b'other'), uuids.authority, 'ERROR')
        self.assertIn('signature', server['fault']['message'])
        self._delete_all_and_compare(server)


class _Blocks(types.SimpleNamespace):
    """As glanceclient returns them."""

    def __init__(self, blocks):
        super().__init__(wrapped=blocks)

    def __iter__(self):
        return iter(self.wrapped)
