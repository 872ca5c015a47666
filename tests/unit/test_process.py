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

from nova import exception

from novadocker.virt.docker.engine import model
from novadocker.virt.docker import process
from tests import base

IMAGE = model.Image(id='sha256:1234', command=('sleep', '9'))


class ProcessCase(base.TestCase):
    def _of(self, image=IMAGE, metadata=None, **properties):
        return process.of(image, properties, metadata or {})

    def _refused(self, pattern, image=IMAGE, **properties):
        self.assertRaisesRegex(exception.ImageUnacceptable, pattern,
                               self._of, image, **properties)


class CommandTest(ProcessCase):
    def test_images_own(self):
        made = self._of()
        self.assertIsNone(made.entrypoint)
        self.assertIsNone(made.command)
        self.assertIsNone(made.working_dir)
        self.assertIsNone(made.user)

    def test_all_properties(self):
        made = self._of(
            os_command_line='old', docker_entrypoint='/bin/sh -c',
            docker_command='"echo a b"', docker_workdir='/srv',
            docker_user='nobody:33')
        self.assertEqual(('/bin/sh', '-c'), made.entrypoint)
        self.assertEqual(('echo a b',), made.command)
        self.assertEqual('/srv', made.working_dir)
        self.assertEqual('nobody:33', made.user)

    def test_os_command_line(self):
        self.assertEqual(('httpd', '-f'),
                         self._of(os_command_line='httpd -f').command)

    def test_json_list_is_taken_word_by_word(self):
        words = ('sh', '-c', "echo 'a  b' $HOME")
        text = r' ["sh", "-c", "echo \u0027a  b\u0027 $HOME"]'
        for name in ('os_command_line', 'docker_command'):
            self.assertEqual(words, self._of(**{name: text}).command)
        self.assertEqual(words, self._of(docker_entrypoint=text).entrypoint)

    def test_the_program_that_is_a_bracket(self):
        for text in ('"[" -e /x ]', '["[", "-e", "/x", "]"]'):
            self.assertEqual(('[', '-e', '/x', ']'),
                             self._of(docker_command=text).command)

    def test_no_json_list_of_words(self):
        for text in ('[ -e /x ]', '["sh"', '[]', '["sh", 1]', '[["sh"]]',
                     '["sh"] x'):
            for name in ('os_command_line', 'docker_command',
                         'docker_entrypoint'):
                self._refused(name, **{name: text})

    def test_unbalanced_quotes(self):
        self._refused('docker_command', docker_command='"x')

    def test_nul(self):
        self._refused('os_command_line.*NUL', os_command_line='a\0b')
        self._refused('os_command_line.*NUL',
                      os_command_line=r'["a\u0000b"]')

    def test_no_process_at_all(self):
        self._refused('neither ENTRYPOINT nor CMD',
                      image=model.Image(id='sha256:1'))

    def test_working_directory(self):
        for path in ('srv', './srv', '../srv', '/a\0b'):
            self._refused('docker_workdir', docker_workdir=path)

    def test_user(self):
        for user in ('0', '2147483647', 'www-data', 'www-data:0', '33:33'):
            self.assertEqual(user, self._of(docker_user=user).user)
        for user in ('-1', '2147483648', ':33', '33:', '1:2:3', '33:-1',
                     'a\0b'):
            self._refused('docker_user', docker_user=user)


class EnvironmentTest(ProcessCase):
    def test_metadata_over_the_images_property(self):
        made = self._of(docker_environment='{"A": "1", "B": 2}',
                        metadata={'B': 'mine', 'C': 'nul\0byte'})
        self.assertEqual({'A': '1', 'B': 'mine'}, made.environment)

    def test_refused(self):
        for text in ('[]', '{"A": []}', 'A=1', '{"A": ', '{"A": true}',
                     '{"": "x"}', '{"A=B": "x"}', r'{"A": "x\u0000"}',
                     '{"A": null}'):
            self._refused('docker_environment', docker_environment=text)


class InitTest(ProcessCase):
    def _init(self, *command, entrypoint=(), **properties):
        return self._of(model.Image(id='1', command=command,
                                    entrypoint=entrypoint),
                        **properties).init

    def test_programs_that_are_init_themselves(self):
        for command in (
                ('/sbin/init',), ('/init',), ('/lib/systemd/systemd',),
                ('/sbin/runit-init',), ('runit',), ('s6-svscan', '/etc/s6'),
                ('tini', '--', 'sh'), ('dumb-init', 'sh'),
                ('sh', '-c', 'exec /init'),
                ('/bin/bash', '-ec', 'mkdir -p /run/x; exec /sbin/init'),
                ('sh', '-c', 'mkdir /x &&\nexec /sbin/runit-init 3')):
            self.assertFalse(self._init(*command), command)
        self.assertFalse(self._init('sh', entrypoint=('/usr/bin/tini', '--')))

    def test_ordinary_programs(self):
        for command in (
                ('sh',), ('init.sh',), ('sh', '-c', 'exec httpd -f'),
                ('sh', '-c', 'exec'), ('sh', '-c', ''), ('sh', '-c'),
                ('sh', '-c', '/init'), ('sh', 'init'),
                ('sh', '-c', 'exec /init; true')):
            self.assertTrue(self._init(*command), command)

    def test_entrypoint_of_the_property_drops_the_images_command(self):
        self.assertTrue(self._init('/sbin/init', docker_entrypoint='sleep 9'))

    def test_property_overrides_the_guess(self):
        self.assertTrue(self._init('/sbin/init', docker_init='true'))
        self.assertFalse(self._init('sh', docker_init='False'))

    def test_property_that_says_neither(self):
        self._refused('docker_init.*"maybe"', docker_init='maybe')
