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

from novadocker.archive import digests
from tests import base


class DigestTest(base.TestCase):
    def test_equals_hashlib_for_any_blocks(self):
        for sizes in ((), (0,), (1, 2, 3), (65536,) * 40, (3_000_000, 1)):
            blocks = [bytes([size % 251]) * size for size in sizes]
            taken = digests.Digest('sha256')
            for block in blocks:
                taken.update(block)
            expected = hashlib.sha256(b''.join(blocks)).hexdigest()
            self.assertEqual(expected, taken.hexdigest())
            self.assertEqual(expected, taken.hexdigest())

    def test_goes_on_after_it_was_read(self):
        taken = digests.Digest('sha256')
        taken.update(b'a')
        taken.hexdigest()
        taken.update(b'b')
        self.assertEqual(hashlib.sha256(b'ab').hexdigest(),
                         taken.hexdigest())

    def test_unknown_algorithm(self):
        self.assertRaises(ValueError, digests.Digest, 'crc')
