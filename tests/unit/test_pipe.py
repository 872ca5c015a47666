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

import threading

from novadocker.archive import pipe
from tests import base


class PipeTest(base.TestCase):
    def test_blocks_in_order(self):
        def write(target):
            for number in range(100):
                target.write(b'%d' % number)

        self.assertEqual([b'%d' % number for number in range(100)],
                         list(pipe.written_by(write)))

    def test_error_comes_after_the_blocks_before_it(self):
        def write(target):
            target.write(b'first')
            raise ValueError('the cause')

        blocks = pipe.written_by(write)
        self.assertEqual(b'first', next(blocks))
        self.assertRaisesRegex(ValueError, 'the cause', next, blocks)

    def test_writer_ends_when_the_reader_goes(self):
        ended = threading.Event()

        def write(target):
            try:
                while True:
                    target.write(b'more')
            finally:
                ended.set()

        blocks = pipe.written_by(write)
        next(blocks)
        blocks.close()
        self.assertTrue(ended.is_set())

    def test_writer_takes_it_back_before_it_fails(self):
        """As Nova does with data whose signature is wrong."""
        def write(target):
            target.write(b'unsigned')
            target.truncate(0)
            raise ValueError('the signature is wrong')

        blocks = pipe.written_by(write)
        self.assertEqual(b'unsigned', next(blocks))
        self.assertRaisesRegex(ValueError, 'signature', next, blocks)
