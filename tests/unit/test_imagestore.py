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

import hashlib
import os
from unittest import mock

import cryptography.exceptions
import fixtures
from nova import exception as nova_exception
from nova import objects
from oslo_utils.fixture import uuidsentinel as uuids

from novadocker.virt.docker import imagestore
from tests import base

DATA = b'0123456789' * 20000


def record(data=DATA):
    return {'id': uuids.image, 'os_hash_algo': 'sha256',
            'os_hash_value': hashlib.sha256(data).hexdigest()}


class DataTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.api = mock.Mock()
        self.api.download.return_value = iter([DATA[:70000], DATA[70000:]])
        self.store = imagestore.ImageStore(self.api)

    def _read(self, image=None, certs=None):
        return b''.join(self.store.data(None, image or record(), certs))

    def test_download(self):
        self.assertEqual(DATA, self._read())

    def test_image_that_glance_never_hashed(self):
        self.assertEqual(DATA, self._read({'id': uuids.image}))
        self.api.download.return_value = iter([DATA])
        self.assertEqual(DATA, self._read(
            {'id': uuids.image, 'size': len(DATA)}))

    def test_image_of_which_there_is_an_md5_only(self):
        image = {'id': uuids.image, 'os_hash_algo': None,
                 'checksum': hashlib.md5(DATA).hexdigest()}
        self.assertEqual(DATA, self._read(image))
        self.api.download.return_value = iter([DATA, b'more'])
        self.assertRaisesRegex(imagestore.DamagedData, 'another md5',
                               self._read, image)

    def test_other_data_than_recorded(self):
        self.assertRaisesRegex(
            imagestore.DamagedData, 'another sha256', self._read,
            record(b'other'))

    def test_data_that_breaks_off(self):
        self.api.download.return_value = iter([DATA[:70000]])
        self.assertRaises(imagestore.DamagedData, self._read)

    def test_less_data_than_recorded(self):
        self.api.download.return_value = iter([DATA[:70000]])
        self.assertRaisesRegex(
            imagestore.DamagedData, 'after 70000 bytes, of 200000',
            self._read, {'id': uuids.image, 'size': len(DATA)})

    def test_every_failure_of_glance_is_a_download_error(self):
        for error in (IOError('reset'), nova_exception.GlanceConnectionFailed(
                server='x', reason='y')):
            self.api.download.side_effect = error
            raised = self.assertRaises(imagestore.DownloadError, self._read)
            self.assertNotIsInstance(raised, imagestore.DamagedData)

    def test_failures_that_would_come_again(self):
        for error in (nova_exception.ImageNotFound(image_id='x'),
                      nova_exception.ImageNotAuthorized(image_id='x')):
            self.api.download.side_effect = error
            self.assertRaises(type(error), self._read)

    def test_shared_directory(self):
        directory = self.useFixture(fixtures.TempDir()).path
        self.flags(shared_directory=directory, group='docker')
        self.assertEqual(DATA, self._read())
        with open(os.path.join(directory, uuids.image), 'wb') as archive:
            archive.write(DATA)
        self.api.download.reset_mock()
        self.assertEqual(DATA, self._read())
        self.api.download.assert_not_called()

    def test_shared_file_is_verified(self):
        directory = self.useFixture(fixtures.TempDir()).path
        self.flags(shared_directory=directory, group='docker')
        with open(os.path.join(directory, uuids.image), 'wb') as archive:
            archive.write(b'planted')
        self.assertRaises(imagestore.DownloadError, self._read)

    def test_shared_file_when_a_signature_is_demanded(self):
        """Nova verifies only what it downloads."""
        directory = self.useFixture(fixtures.TempDir()).path
        self.flags(shared_directory=directory, group='docker')
        self.flags(verify_glance_signatures=True, group='glance')
        with open(os.path.join(directory, uuids.image), 'wb') as archive:
            archive.write(DATA)
        self.api.download.side_effect = self._write(
            cryptography.exceptions.InvalidSignature())
        self.assertRaisesRegex(
            nova_exception.ImageUnacceptable, 'signature', self._read)

    def test_glanceclient_does_not_hash_as_well(self):
        client = mock.MagicMock()
        client.images.data.return_value.wrapped = [DATA]
        client.images.data.return_value.__iter__.side_effect = (
            lambda: iter([DATA]))
        with mock.patch('nova.image.glance._glanceclient_from_endpoint',
                        return_value=client):
            self.flags(api_servers=['http://glance'], group='glance')
            self.store = imagestore.ImageStore()
            self.assertEqual(DATA, self._read())
            client.images.data.assert_called_once_with(
                uuids.image, do_checksum=False)
            self.assertRaises(imagestore.DamagedData, self._read,
                              record(b'other'))

    def _write(self, error=None):
        def download(_context, _image_id, data, trusted_certs):
            data.write(DATA)
            if error:
                raise error
        return download

    def test_signature_by_trusted_certificates(self):
        self.api.download.side_effect = self._write()
        certs = objects.TrustedCerts(ids=['cert'])
        self.assertEqual(DATA, self._read(certs=certs))
        given = self.api.download.call_args.kwargs['trusted_certs']
        self.assertEqual(['cert'], given.ids)

    def test_signature_demanded_by_the_operator(self):
        self.flags(verify_glance_signatures=True, group='glance')
        self.api.download.side_effect = self._write()
        self.assertEqual(DATA, self._read())

    def test_wrong_signature(self):
        self.flags(verify_glance_signatures=True, group='glance')
        self.api.download.side_effect = self._write(
            cryptography.exceptions.InvalidSignature())
        self.assertRaisesRegex(
            nova_exception.ImageUnacceptable, 'signature', self._read)


class UploadTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.api = mock.Mock()
        self.store = imagestore.ImageStore(self.api)

    def _upload(self, blocks):
        self.store.upload(None, uuids.image, {'disk_format': 'raw'}, blocks)
        return self.api.update.call_args.kwargs['data']

    def test_reads_are_short_whatever_is_asked(self):
        reader = self._upload([DATA, b'end'])
        read = []
        while block := reader.read(1024 * 1024):
            self.assertLessEqual(len(block), 65536)
            read.append(block)
        self.assertEqual(DATA + b'end', b''.join(read))

    def test_first_block_is_there_before_glance_is_called(self):
        self.api.update.side_effect = lambda *_args, **_kw: self.order.append(
            'glance')
        self.order = []

        def blocks():
            self.order.append('engine')
            yield b'data'

        self.store.upload(None, uuids.image, {}, blocks())
        self.assertEqual(['engine', 'glance'], self.order)
