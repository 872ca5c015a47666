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

import os
import platform
import struct
import subprocess

import fixtures

from novadocker.virt.docker import pause
from tests import base


class PauseTest(base.TestCase):
    def test_headers_describe_the_file(self):
        for architecture in pause.architectures():
            program = pause.program(architecture)
            entry, = struct.unpack_from('<Q', program, 24)
            load_address, = struct.unpack_from('<Q', program, 64 + 16)
            file_size, = struct.unpack_from('<Q', program, 64 + 32)
            self.assertEqual(b'\x7fELF', program[:4])
            self.assertEqual(120, entry - load_address)
            self.assertEqual(len(program), file_size)

    def test_unknown_machine(self):
        self.assertRaises(KeyError, pause.program, 's390x')

    def test_runs_until_killed(self):
        if platform.machine() not in pause.architectures():
            self.skipTest('no pause program for %s' % platform.machine())
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'pause')
        with open(path, 'wb') as program:
            program.write(pause.program(platform.machine()))
        os.chmod(path, 0o755)
        process = subprocess.Popen([path])
        try:
            self.assertRaises(subprocess.TimeoutExpired, process.wait, 0.1)
        finally:
            process.kill()
            self.assertEqual(-9, process.wait())
