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


"""The corpus of archives against a real engine.

The engine is one of the test's own, in a network namespace and directories
of its own: only there can everything be compared before and after.
"""

import bz2
import lzma
import os
import pathlib
import shutil
import subprocess
import tempfile

import docker
import fixtures
import testtools

from novadocker import archive
from novadocker.virt.docker.engine import client
from tests.data import archives
from tests.functional import engine
from tests.functional import waiting

TAG = archives.TAG
CHUNK = 64 * 1024


class PrivateEngine(fixtures.Fixture):
    """An engine that nobody else uses; ``root`` is its data-root.

    ``--bridge=none`` deletes docker0 of the network namespace the engine
    starts in, hence a namespace of its own.
    """

    def _setUp(self):
        engine.skip_without_engine()
        top = pathlib.Path(tempfile.mkdtemp(prefix='novadocker-engine-'))
        self.addCleanup(shutil.rmtree, top)
        self.root = top / 'root'
        self.url = 'unix://%s' % (top / 'socket')
        self._start(top)
        self.client = client.DockerClient(self.url)
        self.addCleanup(self.client.close)
        self.raw = docker.APIClient(self.url, version='1.41')
        self.addCleanup(self.raw.close)

    def _start(self, top):
        log = open(top / 'log', 'w')
        self.addCleanup(log.close)
        daemon = subprocess.Popen(
            ['unshare', '--net', 'dockerd', '--bridge=none',
             '--iptables=false', '--ip6tables=false',
             '--data-root', str(self.root), '--exec-root', str(top / 'exec'),
             '--pidfile', str(top / 'pid'), '--host', self.url],
            stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(self._stop, daemon)
        waiting.until(lambda: self._answers(daemon, top),
                      'the private engine answers')

    def _answers(self, daemon, top):
        if daemon.poll() is not None:
            raise AssertionError((top / 'log').read_text()[-2000:])
        return (top / 'socket').exists()

    def _stop(self, daemon):
        daemon.terminate()
        daemon.wait(30)
        # The engine leaves a bind mount of its directory on itself.
        while os.path.ismount(self.root):
            subprocess.run(['umount', self.root], check=True)

    def state(self):
        """All that an image could leave behind, as the host sees it."""
        images = self.raw._result(self.raw._get(
            self.raw._url('/images/json'),
            params={'all': 1, 'digests': 1}), json=True)
        return {'images': images,
                'containers': self.raw.containers(all=True),
                'files': self._files()}

    def _files(self):
        """The engine's own files; a layer's content is known by its name."""
        found = {}
        for directory in ('tmp', 'image'):
            for path in sorted((self.root / directory).rglob('*')):
                found[str(path)] = (path.read_bytes() if path.is_file()
                                    else None)
        layers = self.root / self.raw.info()['Driver']
        found.update(dict.fromkeys(map(str, layers.glob('*'))))
        return found


class Corpus(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = PrivateEngine()
        cls.engine.setUp()
        cls.addClassCleanup(cls.engine.cleanUp)
        cls.client = cls.engine.client

    def load(self, data, **limits):
        """Load through the sanitiser, as the driver does."""
        def send(sizes):
            chunks = (data[start:start + CHUNK]
                      for start in range(0, len(data), CHUNK))
            self.client.load(archive.sanitise(
                chunks, TAG, archive.Limits(**limits), archives.RULES, sizes))
        try:
            send({})
        except archive.ReadAgain as again:
            send(again.sizes)

    def output_of(self, image):
        raw = self.engine.raw
        container = raw.create_container(
            image, host_config=raw.create_host_config(network_mode='none'))
        try:
            raw.start(container)
            raw.wait(container, timeout=20)
            return raw.logs(container)
        finally:
            raw.remove_container(container, force=True)


class HostileTest(Corpus):

    def test_nothing_is_left_of_a_refused_archive(self):
        """Bystanders stay as they are too, whose layers some attacks name."""
        self.load(archives.legacy(archives.Image(archives.base_layer())))
        before = self.engine.state()
        self.assertEqual(1, len(before['images']))
        for case in archives.HOSTILE.values():
            with self.subTest(case.name):
                error = self.assertRaises(archive.ArchiveError, self.load,
                                          case.build(), **case.limits)
                self.assertRegex(str(error), case.reason)
                # The engine cleans up when it notices the broken stream.
                waiting.until(lambda: self.engine.state() == before,
                              'the engine is as before: ' + case.name)


class TheftTest(Corpus):
    """Why the digests are checked here: the engine would not."""

    def test_engine_alone_gives_away_a_layer(self):
        victim = archives.Image(archives.base_layer())
        self.load(archives.legacy(victim))
        answers = list(self.engine.raw.load_image(
            archives.junk_under_known_diff_id(), quiet=True))
        if any('error' in answer for answer in answers):
            self.skipTest('this engine checks known layers itself')
        self.assertRaises(archive.ArchiveError, self.load,
                          archives.junk_under_known_diff_id())


class UnpackTest(Corpus):
    """What the engine itself makes of layers, and why some are refused."""

    def test_members_below_links_stay_in_the_image(self):
        host = tempfile.mkdtemp(prefix='novadocker-host-')
        self.addCleanup(shutil.rmtree, host)
        for link in (host, '../../../../../../../../../..' + host):
            self.load(archives.one_layer(
                archives.directory(host[1:] + '/'),
                archives.symlink('l', link),
                archives.member('l/escaped', b'x')))
            self.assertEqual([], os.listdir(host))
            self.client.remove_image(TAG)

    def test_engine_refuses_what_comes_twice(self):
        for name in ('path_twice_in_layer', 'symlink_replaced_by_directory',
                     'global_header_twice'):
            answers = list(self.engine.raw.load_image(
                archives.HOSTILE[name].build(), quiet=True))
            self.assertIn('duplicates', str(answers), name)


class HonestTest(Corpus):

    def test_every_honest_archive_loads(self):
        for case in archives.HONEST.values():
            with self.subTest(case.name):
                self.load(case.build(), **case.limits)
                found = self.engine.raw.inspect_image(TAG)
                self.assertEqual([TAG], found['RepoTags'])
                self.assertFalse(found['Config'].get('Volumes'))
                self.assertGreater(int(found['Config']['Labels'][
                    archives.RULES.unpacked_label]), 0)
                self.client.remove_image(TAG)
                self.assertEqual([], self.engine.state()['images'])

    def test_it_runs(self):
        program = pathlib.Path(engine.BUSYBOX).read_bytes()
        image = archives.with_program(program)
        for data in (archives.legacy(image), archives.docker25(image),
                     archives.oci(image, archives.zstd_layer),
                     archives.packed(image, lambda layer:
                                     archives.gzip_members(layer, CHUNK)),
                     archives.packed(image, lzma.compress),
                     archives.packed(image, bz2.compress),
                     archives.zstd_layer(archives.podman(image))):
            self.load(data)
            self.assertEqual(b'it runs\n', self.output_of(TAG))
            self.client.remove_image(TAG)
