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


"""Engine JSON and streams that a healthy engine seldom shows."""

import struct

import testtools

from novadocker.virt.docker.engine import wire


def frame(stream, data):
    return struct.pack('>BxxxL', stream, len(data)) + data


class DemultiplexTest(testtools.TestCase):

    def test_any_cut(self):
        stream = frame(1, b'out\n') + frame(2, b'') + frame(2, b'err\n')
        for size in range(1, len(stream) + 1):
            blocks = [stream[start:start + size]
                      for start in range(0, len(stream), size)]
            self.assertEqual(b'out\nerr\n',
                             b''.join(wire.demultiplexed(blocks)))

    def test_broken_frame_is_no_data(self):
        stream = frame(1, b'whole') + frame(1, b'broken')[:-1]
        self.assertEqual([b'whole'], list(wire.demultiplexed([stream])))

    def test_nothing(self):
        self.assertEqual([], list(wire.demultiplexed([])))


class SummaryTest(testtools.TestCase):

    def test_container_whose_name_is_gone(self):
        row = {'Id': 'a', 'Names': None, 'State': 'removing',
               'ImageID': 'b', 'Labels': None,
               'HostConfig': {'NetworkMode': 'none'}}
        summary = wire.container_summary(row)
        self.assertEqual(('', 'removing', {}),
                         (summary.name, summary.state, summary.labels))

    def test_image_without_name(self):
        for tags in (None, [], ['<none>:<none>']):
            row = {'Id': 'a', 'Size': 1, 'RepoTags': tags, 'Labels': None}
            self.assertEqual((), wire.image_summary(row).tags)
