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

from oslo_utils.fixture import uuidsentinel as uuids

from novadocker.virt.docker import names
from tests import base


class NamesTest(base.TestCase):
    def test_image_tag_and_back(self):
        tag = names.image_tag(uuids.image, 'a' * 128)
        self.assertEqual(
            'novadocker/%s:aaaaaaaaaaaa' % uuids.image, tag)
        self.assertEqual(uuids.image, names.image_id_of_tag(tag))

    def test_image_that_glance_never_hashed(self):
        self.assertEqual('novadocker/%s:unhashed' % uuids.image,
                         names.image_tag(uuids.image, None))

    def test_tags_that_are_no_glance_image(self):
        for tag in (names.SANDBOX_IMAGE, 'busybox:latest', '<none>:<none>',
                    'other/%s:1' % uuids.image, 'novadocker/x/y:1', ''):
            self.assertIsNone(names.image_id_of_tag(tag), tag)
