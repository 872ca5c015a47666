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

"""Nova's own Glance fixture, taught to stream as the real one does."""

from collections.abc import Callable
import hashlib

from nova.tests.fixtures import glance as nova_glance

from tests.fakes import archives

BLOCK_BYTES = 64 * 1024


class StreamingGlance(nova_glance.GlanceFixture):
    """Images with data that is downloaded in blocks and uploaded by read().

    ``downloads`` lists the ids of images whose data was asked for;
    ``interfere`` may replace the iterator of blocks, to break it.
    """

    def setUp(self):
        super().setUp()
        # Downloads go round nova.image.glance.API, which has them hashed.
        self.test.stub_out('nova.image.glance.GlanceImageServiceV2',
                           lambda client=None: self)
        self.downloads: list[str] = []
        self.interfere: Callable = iter
        # Nova's own sample images have no data.
        self.sample = archives.image('sample:latest')
        for image in self.images.values():
            image['size'] = len(self.sample)

    def add(self, image_id: str, data: bytes, **properties) -> str:
        """Register a docker image, with the hashes that Glance records."""
        self.create(None, {
            'id': image_id, 'name': image_id, 'status': 'active',
            'container_format': 'docker', 'disk_format': 'raw',
            'visibility': 'public', 'min_disk': 0, 'min_ram': 0,
            'deleted': False, 'protected': False, **_measured(data),
            'properties': properties})
        self._imagedata[image_id] = data
        return image_id

    def data(self, image_id: str) -> bytes:
        return self._imagedata.get(image_id, self.sample)

    def detail(self, context, filters=None, **_order):
        """Newest first, as Nova asks; filters are of properties."""
        wanted = {key.removeprefix('property-'): value
                  for key, value in (filters or {}).items()
                  if key.startswith('property-')}
        return [image for image in reversed(super().detail(context))
                if wanted.items() <= image['properties'].items()]

    def download(self, context, image_id, data=None, dst_path=None,
                 trusted_certs=None):
        self.show(context, image_id)
        self.downloads.append(image_id)
        content = self.data(image_id)
        return self.interfere(
            content[start:start + BLOCK_BYTES]
            for start in range(0, len(content), BLOCK_BYTES))

    def update(self, context, image_id, metadata, data=None,
               purge_props=False):
        if data is not None:
            content = b''.join(iter(lambda: data.read(1024 * 1024), b''))
            self._imagedata[image_id] = content
            metadata = {**metadata, **_measured(content)}
        return super().update(context, image_id, metadata,
                              purge_props=purge_props)


def _measured(data: bytes) -> dict:
    return {'size': len(data),
            'checksum': hashlib.md5(data).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest()}
