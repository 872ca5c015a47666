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


"""Honest images on a real engine: each loads, runs and leaves nothing.

Both what our own generators write and what the tools of this machine do. The
engine is one of the tests' own, as in ``test_archive_engine``.
"""

import pathlib

from novadocker import archive
from novadocker.virt.docker.engine import exception
from tests.functional import engine
from tests.functional import honest_tools
from tests.functional import test_archive_engine
from tests.functional import waiting
from tests import honest
from tests.honest import corpus
from tests.unit import test_archive

TAG = test_archive_engine.TAG


class HonestImages(test_archive_engine.Corpus):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # An engine makes its directories with its first container.
        cls.client.import_image(engine.busybox(), TAG,
                                changes=['CMD ["true"]'])
        cls.engine.raw.remove_container(cls.engine.raw.create_container(TAG))
        cls.client.remove_image(TAG)

    def setUp(self):
        super().setUp()
        before = self.engine.state()
        self.addCleanup(self.assert_as_before, before)
        self.addCleanup(self.remove_image)

    def assert_as_before(self, before):
        waiting.until(lambda: self.engine.state() == before,
                      'the engine is as before')

    def remove_image(self):
        try:
            self.client.remove_image(TAG)
        except exception.ImageNotFound:
            pass  # it was refused, which is the test's failure

    def assert_loads_and_runs(self, data):
        self.load(data)
        self.assertEqual([TAG],
                         self.engine.raw.inspect_image(TAG)['RepoTags'])
        self.assertEqual(corpus.OUTPUT, self.output_of(TAG))


@test_archive.per_case(honest.CASES.values())
class WrittenTest(HonestImages):
    """Archives as the tools write them."""

    def check(self, case):
        program = pathlib.Path(engine.BUSYBOX).read_bytes()
        self.assert_loads_and_runs(case.build(program)[0])


@test_archive.per_case(honest_tools.ARCHIVES.values())
class ToolsTest(HonestImages):
    """Archives by the tools themselves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = honest_tools.Workshop()
        cls.shop.setUp()
        cls.addClassCleanup(cls.shop.cleanUp)

    def check(self, made):
        self.assert_loads_and_runs(made.make(self.shop).read_bytes())

    def test_two_images_in_one_archive(self):
        """Which one to run nobody can tell."""
        self.shop.podman('import', '--quiet',
                         self.shop.packed(self.shop.root), 'localhost/b:1')
        archived = self.shop.path('saved')
        self.shop.podman('save', '--quiet', '--multi-image-archive',
                         '--output', archived, self.shop.podman_image,
                         'localhost/b:1')
        error = self.assertRaises(archive.ArchiveError, self.load,
                                  archived.read_bytes())
        self.assertRegex(str(error), 'names 2 images')
