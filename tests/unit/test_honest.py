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


"""Every archive of the honest corpus passes, and is the image it was."""

import json

import testtools

from tests.data import archives
from tests.fakes import archives as file_systems
from tests import honest
from tests.honest import tars
from tests.unit import test_archive

# What a container is started by; the sanitiser has a say in the rest.
KEPT = ('Cmd', 'Entrypoint', 'Env', 'User', 'WorkingDir', 'Labels',
        'StopSignal')


@test_archive.per_case(honest.CASES.values())
class HonestTest(test_archive.SoundArchive, testtools.TestCase):

    def check(self, case):
        data, image = case.build(file_systems.PLACEHOLDER)
        contents = self.assertSound(test_archive.sanitised(data))
        config = json.loads(contents['config.json'])
        self.assertEqual([archives.digest(layer) for layer in image.layers],
                         config['rootfs']['diff_ids'])
        self.assertEqual(image.document['architecture'],
                         config['architecture'])
        self.assertEqual(self.kept(image.document), self.kept(config))

    def kept(self, config):
        """Labels that only the driver sets are not the image's."""
        found = {key: config['config'][key] for key in KEPT
                 if config['config'].get(key)}
        labels = {name: value
                  for name, value in found.pop('Labels', {}).items()
                  if not name.startswith(archives.RULES.reserved_labels)}
        return {**found, 'Labels': labels}


class CorpusTest(testtools.TestCase):

    def test_empty_layer_is_the_one_of_registries(self):
        self.assertEqual(
            'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10'
            'ace3c6ef', archives.digest(tars.archive()))

    def test_every_module_has_cases(self):
        modules = {case.build.__module__ for case in honest.CASES.values()}
        self.assertEqual({one.__name__ for one in honest.MODULES}, modules)
