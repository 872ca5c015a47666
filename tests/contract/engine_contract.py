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


"""What the driver relies on in an engine, said with our own client.

The suites run on the fake engine and on a real one; a TestCase binds them to
either. Nothing enters the fake before it has passed here on the real one.
"""

import gzip
import hashlib
import io
import json
import tarfile
import threading
import uuid

from novadocker.virt.docker.engine import client as engine_client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import policy
from tests.fakes import archives

LABEL = 'org.novadocker.contract'
NAMESPACE = 'novadocker-contract'

# Longer than any test; and ignores SIGTERM, as it is a first process.
FOREVER = ('sleep', '600')
# Long enough for a busy machine; no test waits for its end.
PATIENCE_S = 30


class Contract:
    """What the suites share.

    A binding brings ``client``, a DockerClient, ``image``, the tag of an
    image with a shell as its command, and ``file_system``, a layer with that
    shell. All that a test makes is removed after it.
    """

    client = None
    image = ''
    file_system = b''

    def setUp(self):
        super().setUp()
        self.unique = uuid.uuid4().hex[:12]
        self.addCleanup(self._remove_all)

    def _remove_all(self):
        for container in self.client.list_containers({LABEL: self.unique}):
            self.client.remove(container.id)
        for image in self.client.list_images(self.tag().rpartition(':')[0]):
            for tag in image.tags:
                self.client.remove_image(tag)

    def name(self, role: str = 'server') -> str:
        return 'contract-%s-%s' % (self.unique, role)

    def tag(self, version: str = '1') -> str:
        return '%s/%s:%s' % (NAMESPACE, self.unique, version)

    def create(self, *command: str, name: str | None = None,
               **arguments) -> str:
        labels = {LABEL: self.unique, **arguments.pop('labels', {})}
        return self.client.create(model.ContainerSpec(**{
            'name': name or 'contract-%s' % uuid.uuid4().hex,
            'image': self.image, 'labels': labels, 'network_mode': 'none',
            'command': command or None, **arguments}))

    def run_container(self, *command: str, **arguments) -> str:
        container = self.create(*(command or FOREVER), **arguments)
        policy.start(self.client, container)
        return container

    def run_to_end(self, *command: str, **arguments) -> str:
        container = self.run_container(*command, **arguments)
        self.assertIsNotNone(self.client.wait(container, PATIENCE_S))
        return container

    def join(self, owner: str, *command: str) -> str:
        return self.create(*(command or FOREVER),
                           network_mode='container:' + owner)

    def load(self, *tags: str, **settings) -> str:
        """Load an image; returns the id that it has to have."""
        # No two tests at work on one engine shall share an image.
        settings = {'Cmd': ['sh'], 'Env': ['UNIQUE=' + self.unique],
                    **settings}
        config = archives.config([self.file_system], **settings)
        self.client.load([archives.save(config, [self.file_system], tags)])
        return archives.digest(config)

    def get(self, container: str) -> model.Container:
        return self.client.get_container(container)

    def assertState(self, state: str, container: str):
        self.assertEqual(state, self.get(container).state)

    def assertRefused(self, kind: type, verb, *arguments, **keywords):
        """The very type, not one derived from it."""
        error = self.assertRaises(kind, verb, *arguments, **keywords)
        self.assertIs(kind, type(error))
        return error


class LifecycleContract(Contract):

    def test_created_container_does_not_run(self):
        container = self.get(self.create(*FOREVER, name=self.name()))
        self.assertEqual(model.CREATED, container.state)
        self.assertEqual(self.name(), container.name)
        self.assertEqual((0, 0, ''), (container.pid, container.exit_code,
                                      container.error))

    def test_start(self):
        container = self.get(self.run_container())
        self.assertEqual(model.RUNNING, container.state)
        self.assertGreater(container.pid, 0)
        self.assertTrue(container.started_at.startswith('20'))

    def test_start_again_changes_nothing(self):
        container = self.run_container()
        before = self.get(container)
        self.client.start(container)
        self.assertEqual(before, self.get(container))

    def test_command_of_the_image(self):
        self.load(self.tag(), Cmd=['sh', '-c', 'exit 4'])
        container = self.run_container(image=self.tag(), command=None)
        self.assertEqual(4, self.client.wait(container, PATIENCE_S))

    def test_entrypoint_of_the_image_takes_the_command(self):
        self.load(self.tag(), Entrypoint=['sh', '-c'], Cmd=['exit 4'])
        container = self.run_container('exit 5', image=self.tag())
        self.assertEqual(5, self.client.wait(container, PATIENCE_S))

    def test_own_entrypoint_drops_the_command_of_the_image(self):
        self.load(self.tag(), Entrypoint=['sh'], Cmd=['-c', 'exit 4'])
        container = self.create(image=self.tag(), entrypoint=('true',))
        self.client.start(container)
        self.assertEqual(0, self.client.wait(container, PATIENCE_S))

    def test_image_without_command_needs_one(self):
        self.load(self.tag(), Cmd=None)
        self.assertRefused(exception.InvalidSpec, self.create,
                           image=self.tag())

    def test_shell_without_input_ends(self):
        self.assertEqual(0, self.get(self.run_to_end('sh')).exit_code)

    def test_shell_with_terminal_stays(self):
        container = self.run_container('sh', tty=True)
        self.assertIsNone(self.client.wait(container, 0.3))
        self.assertTrue(self.get(container).tty)

    def test_name_taken(self):
        self.create(name=self.name())
        self.assertRefused(exception.Conflict, self.create, name=self.name())

    def test_name_free_after_removal(self):
        self.client.remove(self.create(name=self.name()))
        self.create(name=self.name())

    def test_bad_name(self):
        self.assertRefused(exception.InvalidSpec, self.create,
                           name='no@name')

    def test_missing_executable(self):
        container = self.create('/nonexistent')
        for _attempt in range(2):
            self.assertRefused(exception.InvalidSpec, self.client.start,
                               container)
            found = self.get(container)
            self.assertEqual(model.CREATED, found.state)
            self.assertEqual(127, found.exit_code)
            self.assertIn('/nonexistent', found.error)
        self.client.remove(container)

    def test_missing_executable_found_by_name(self):
        self.assertRefused(exception.InvalidSpec, self.client.start,
                           self.create('nonexistent'))

    def test_stop_kills_what_ignores_it(self):
        container = self.run_container()
        self.client.stop(container, 0)
        found = self.get(container)
        self.assertEqual(model.EXITED, found.state)
        self.assertEqual((137, 0), (found.exit_code, found.pid))

    def test_stop_lets_a_process_end(self):
        container = self.run_container(
            'sh', '-c', 'trap "exit 7" TERM; echo up; '
            'while :; do sleep 0.1; done')
        self._wait_for_log(container, b'up')
        self.client.stop(container, PATIENCE_S)
        self.assertEqual(7, self.get(container).exit_code)

    def test_stop_with_init(self):
        container = self.run_container(init=True)
        self.client.stop(container, PATIENCE_S)
        self.assertEqual(143, self.get(container).exit_code)

    def test_stop_paused(self):
        container = self.run_container()
        self.client.pause(container)
        self.client.stop(container, 1)
        self.assertState(model.EXITED, container)

    def test_stop_again_changes_nothing(self):
        container = self.run_container()
        self.client.stop(container, 0)
        before = self.get(container)
        self.client.stop(container, 0)
        self.assertEqual(before, self.get(container))

    def test_stop_of_what_never_ran_changes_nothing(self):
        container = self.create()
        self.client.stop(container, 0)
        self.assertState(model.CREATED, container)

    def test_start_after_stop(self):
        container = self.run_container()
        before = self.get(container)
        self.client.stop(container, 0)
        self.client.start(container)
        after = self.get(container)
        self.assertEqual(model.RUNNING, after.state)
        self.assertEqual(0, after.exit_code)
        self.assertNotEqual(before.pid, after.pid)
        self.assertLess(before.started_at, after.started_at)

    def test_kill(self):
        container = self.run_container()
        self.client.kill(container)
        self.assertEqual(137, self.client.wait(container, PATIENCE_S))

    def test_kill_paused(self):
        container = self.run_container()
        self.client.pause(container)
        self.client.kill(container)
        self.assertEqual(137, self.client.wait(container, PATIENCE_S))

    def test_kill_what_does_not_run(self):
        self.assertRefused(exception.Conflict, self.client.kill,
                           self.create())

    def test_pause_and_unpause(self):
        container = self.run_container()
        before = self.get(container)
        self.client.pause(container)
        self.assertState(model.PAUSED, container)
        self.client.unpause(container)
        self.assertEqual(before, self.get(container))

    def test_pause_refused(self):
        container = self.create(*FOREVER)
        self.assertRefused(exception.Conflict, self.client.pause, container)
        self.client.start(container)
        self.client.pause(container)
        self.assertRefused(exception.Conflict, self.client.pause, container)
        self.assertState(model.PAUSED, container)

    def test_unpause_refused(self):
        container = self.create(*FOREVER)
        self.assertRefused(exception.EngineError, self.client.unpause,
                           container)
        self.client.start(container)
        self.assertRefused(exception.EngineError, self.client.unpause,
                           container)

    def test_start_paused(self):
        container = self.run_container()
        self.client.pause(container)
        self.assertRefused(exception.Conflict, self.client.start, container)
        self.assertState(model.PAUSED, container)

    def test_remove_in_any_state(self):
        created, running, paused, exited = (
            self.create(), self.run_container(), self.run_container(),
            self.run_to_end('true'))
        self.client.pause(paused)
        for container in (created, running, paused, exited):
            self.client.remove(container)
            self.assertIsNone(self.client.find_container(container))

    def test_rename(self):
        container = self.run_container(name=self.name('old'))
        self.client.rename(self.name('old'), self.name('new'))
        self.assertIsNone(self.client.find_container(self.name('old')))
        self.assertEqual(container, self.get(self.name('new')).id)
        self.assertState(model.RUNNING, container)

    def test_rename_refused(self):
        container = self.create(name=self.name())
        self.create(name=self.name('other'))
        self.assertRefused(exception.Conflict, self.client.rename, container,
                           self.name('other'))
        for bad in (self.name(), 'no@name'):
            self.assertRefused(exception.InvalidSpec, self.client.rename,
                               container, bad)
        self.assertEqual(self.name(), self.get(container).name)

    def test_find(self):
        container = self.create(name=self.name())
        for reference in (container, self.name(), container[:12]):
            self.assertEqual(container,
                             self.client.find_container(reference).id)
        self.assertIsNone(self.client.find_container(self.name()[:-1]))

    def test_wait_for_exit_code(self):
        container = self.run_container('sh', '-c', 'sleep 0.5; exit 3')
        self.assertEqual(3, self.client.wait(container, PATIENCE_S))
        self.assertState(model.EXITED, container)
        self.assertEqual(3, self.client.wait(container, PATIENCE_S))

    def test_wait_in_vain(self):
        container = self.run_container()
        self.assertIsNone(self.client.wait(container, 0.2))
        self.assertState(model.RUNNING, container)

    def test_wait_ends_with_a_stop(self):
        container = self.run_container()
        stopper = threading.Timer(0.2, self.client.kill, (container,))
        stopper.start()
        self.addCleanup(stopper.join)
        self.assertEqual(137, self.client.wait(container, PATIENCE_S))

    def test_wait_for_what_never_ran(self):
        self.assertEqual(0, self.client.wait(self.create(), PATIENCE_S))

    def test_twin(self):
        owner = self.run_container()
        original = self.create('sh', '-c', 'echo $WHO', tty=True,
                               environment={'WHO': 'me'},
                               labels={'kept': 'yes'},
                               memory_bytes=64 << 20, pids_limit=99)
        twin = self.client.recreate(original, self.name('twin'), self.image,
                                    owner)
        found = self.get(twin)
        self.assertEqual(model.CREATED, found.state)
        self.assertEqual(self.name('twin'), found.name)
        self.assertEqual(owner, found.network_owner)
        self.assertEqual(self.get(original).labels, found.labels)
        self.assertTrue(found.tty)

    def _wait_for_log(self, container: str, text: bytes):
        for _attempt in range(PATIENCE_S * 10):
            if text in self.client.logs(container, 100):
                return
            self.client.wait(container, 0.1)
        self.fail('%r is not in the log' % text)


class NetworkContract(Contract):

    def test_namespace_while_running(self):
        container = self.create(*FOREVER)
        self.assertEqual('', self.get(container).netns_path)
        self.client.start(container)
        self.assertTrue(self.get(container).netns_path.startswith('/'))
        self.client.pause(container)
        self.assertTrue(self.get(container).netns_path.startswith('/'))
        self.client.kill(container)
        self.client.wait(container, PATIENCE_S)
        self.assertEqual('', self.get(container).netns_path)

    def test_start_makes_a_new_namespace(self):
        container = self.run_container()
        before = self.get(container).netns_path
        self.client.stop(container, 0)
        self.client.start(container)
        self.assertNotEqual(before, self.get(container).netns_path)

    def test_no_owner(self):
        self.assertEqual('', self.get(self.create()).network_owner)

    def test_owner_is_known_by_id(self):
        owner = self.create(name=self.name())
        for reference in (owner, self.name()):
            self.assertEqual(
                owner, self.get(self.join(reference)).network_owner)
        self.client.rename(owner, self.name('other'))
        self.assertEqual(owner, self.get(self.join(owner)).network_owner)

    def test_joined_namespace_belongs_to_the_owner(self):
        workload = self.join(self.run_container())
        self.client.start(workload)
        self.assertState(model.RUNNING, workload)
        self.assertEqual('', self.get(workload).netns_path)

    def test_joined_files_are_those_of_the_owner(self):
        owner = self.create(*FOREVER)
        self.assertEqual('', self.get(owner).resolv_conf_path)
        self.client.start(owner)
        workload = self.join(owner)
        self.client.start(workload)
        owner, workload = self.get(owner), self.get(workload)
        self.assertTrue(owner.resolv_conf_path.endswith('/resolv.conf'))
        self.assertTrue(owner.hosts_path.endswith('/hosts'))
        self.assertEqual(owner.resolv_conf_path, workload.resolv_conf_path)
        self.assertEqual(owner.hosts_path, workload.hosts_path)

    def test_hostname_is_the_owners(self):
        self.assertRefused(
            exception.InvalidSpec, self.create, hostname='mine',
            network_mode='container:' + self.run_container())

    def test_owner_that_does_not_run(self):
        workload = self.join(self.create(*FOREVER))
        self.assertRefused(exception.Conflict, self.client.start, workload)
        found = self.get(workload)
        self.assertEqual((model.CREATED, 128),
                         (found.state, found.exit_code))
        self.assertIn('non running', found.error)

    def test_owner_that_is_no_more(self):
        owner = self.create()
        workload = self.join(owner)
        self.client.remove(owner)
        self.assertRefused(exception.NotFound, self.client.start, workload)
        self.assertState(model.CREATED, workload)

    def test_owner_that_is_paused(self):
        owner = self.run_container()
        self.client.pause(owner)
        workload = self.join(owner)
        self.client.start(workload)
        self.assertState(model.RUNNING, workload)

    def test_workload_outlives_its_owner(self):
        owner = self.run_container()
        workload = self.join(owner)
        self.client.start(workload)
        self.client.remove(owner)
        self.assertState(model.RUNNING, workload)

    def test_workload_starts_again_after_its_owner(self):
        owner = self.run_container()
        workload = self.join(owner)
        self.client.start(workload)
        self.client.stop(owner, 0)
        self.client.stop(workload, 0)
        self.assertRefused(exception.Conflict, self.client.start, workload)
        found = self.get(workload)
        self.assertEqual((model.EXITED, 137), (found.state, found.exit_code))
        self.client.start(owner)
        self.client.start(workload)
        found = self.get(workload)
        self.assertEqual((model.RUNNING, ''), (found.state, found.error))


class ListingContract(Contract):

    def list(self, **labels):
        return self.client.list_containers({LABEL: self.unique, **labels})

    def test_all_states(self):
        created, running, paused, exited = (
            self.create(), self.run_container(), self.run_container(),
            self.run_to_end('true'))
        self.client.pause(paused)
        self.assertEqual(
            {created: model.CREATED, running: model.RUNNING,
             paused: model.PAUSED, exited: model.EXITED},
            {row.id: row.state for row in self.list()})

    def test_row(self):
        container = self.create(name=self.name(), labels={'x.y': 'a=b, "c"'})
        row, = self.list()
        whole = self.get(container)
        self.assertEqual(
            (container, self.name(), model.CREATED, whole.image_id),
            (row.id, row.name, row.state, row.image_id))
        self.assertEqual({LABEL: self.unique, 'x.y': 'a=b, "c"'}, row.labels)
        self.assertEqual(whole.labels, row.labels)

    def test_several_labels(self):
        both = self.create(labels={'one': '1', 'two': '2'})
        self.create(labels={'one': '1'})
        self.create(labels={'one': '1', 'two': '22'})
        self.assertEqual([both],
                         [row.id for row in self.list(one='1', two='2')])

    def test_none(self):
        self.assertEqual([], self.list())

    def test_label_of_the_image_is_inherited_and_overridden(self):
        self.load(self.tag(), Labels={'given': 'image', 'both': 'image'})
        self.create(image=self.tag(), labels={'both': 'mine'})
        row, = self.list()
        self.assertEqual({LABEL: self.unique, 'given': 'image',
                          'both': 'mine'}, row.labels)

    def test_name_follows_rename(self):
        self.client.rename(self.create(), self.name('new'))
        self.assertEqual([self.name('new')],
                         [row.name for row in self.list()])


class ImageContract(Contract):

    def test_load(self):
        expected = self.load(self.tag(), Entrypoint=['sh', '-c'],
                             Cmd=['true'], Labels={'a': 'b'})
        image = self.client.get_image(self.tag())
        self.assertEqual(expected, image.id)
        self.assertEqual((self.tag(),), image.tags)
        self.assertEqual(('amd64', 'linux'), (image.architecture, image.os))
        self.assertEqual(('sh', '-c'), image.entrypoint)
        self.assertEqual(('true',), image.command)
        self.assertEqual({'a': 'b'}, image.labels)
        self.assertGreater(image.size_bytes, 0)

    def test_find_by_id(self):
        expected = self.load(self.tag())
        for reference in (expected, expected[7:], expected[7:19]):
            self.assertEqual(expected, self.client.get_image(reference).id)
        self.assertIsNone(self.client.find_image(self.tag('other')))

    def test_load_in_small_pieces(self):
        archive = self.archive(self.tag())
        self.client.load(archive[max(0, start):start + 5000]
                         for start in range(-5000, len(archive), 5000))
        self.assertIsNotNone(self.client.find_image(self.tag()))

    def test_load_again(self):
        self.assertEqual(self.load(self.tag()), self.load(self.tag()))
        image, = self.client.list_images(self.tag())
        self.assertEqual((self.tag(),), image.tags)

    def test_load_under_two_tags(self):
        self.load(self.tag('1'), self.tag('2'))
        self.assertEqual((self.tag('1'), self.tag('2')),
                         self.client.get_image(self.tag('1')).tags)

    def test_load_without_tag(self):
        expected = self.load(Labels={'untagged': self.unique})
        self.addCleanup(self.client.remove_image, expected)
        self.assertEqual((), self.client.get_image(expected).tags)

    def test_load_moves_a_tag(self):
        first = self.load(self.tag(), self.tag('old'), Labels={'n': '1'})
        second = self.load(self.tag(), Labels={'n': '2'})
        self.assertEqual(second, self.client.get_image(self.tag()).id)
        self.assertEqual((self.tag('old'),),
                         self.client.get_image(first).tags)

    def test_load_compressed_layer(self):
        config = archives.config([self.file_system], n=self.unique)
        self.client.load([archives.save(
            config, [gzip.compress(self.file_system)], [self.tag()])])
        self.assertEqual(archives.digest(config),
                         self.client.get_image(self.tag()).id)

    def test_load_refused(self):
        config = archives.config([self.file_system], n=self.unique)
        other = archives.config([self.unique.encode()])
        whole = archives.save(config, [self.file_system], [self.tag()])
        manifest = {'Config': 'config', 'RepoTags': [self.tag()],
                    'Layers': ['layer']}
        for what, archive in {
            'junk': b'junk' * 1000,
            'empty': b'',
            'no manifest': archives.tar({'other': b'file'}),
            'bad manifest': archives.tar({'manifest.json': b'[{'}),
            'bad config': archives.save(b'{', [], [self.tag()]),
            'no root file system': archives.save(b'{}', [], [self.tag()]),
            'missing config': archives.tar(
                {'manifest.json': json.dumps([manifest]).encode()}),
            'wrong digest': archives.save(other, [self.file_system],
                                          [self.tag()]),
            'too few layers': archives.save(config, [], [self.tag()]),
            'truncated': whole[:len(whole) // 2],
            'capitals': archives.save(config, [self.file_system],
                                      [self.tag().upper()]),
        }.items():
            with self.subTest(what):
                self.assertRefused(exception.LoadError, self.client.load,
                                   [archive])
                self.assertIsNone(self.client.find_image(self.tag()))
        image = self.client.find_image(archives.digest(config))
        if image:
            self.client.remove_image(image.id)

    def test_source_that_fails(self):
        archive = self.archive(self.tag())
        for error in (ValueError('mine'), OSError(5, 'mine')):
            for length in (700, len(archive)):
                with self.subTest(error=error, length=length):
                    source = self._failing(archive[:length], error)
                    self.assertIs(error, self.assertRaises(
                        type(error), self.client.load, source))
                    self.assertIsNone(self.client.find_image(self.tag()))

    def _failing(self, data, error):
        yield data
        raise error

    def test_list(self):
        first = self.load(self.tag('1'), self.tag('2'), Labels={'n': '1'})
        second = self.load(self.tag('3'))
        repository = self.tag().rpartition(':')[0]
        for pattern in (repository, repository + ':*', NAMESPACE + '/*'):
            found = {image.id: image
                     for image in self.client.list_images(pattern)}
            self.assertEqual((self.tag('1'), self.tag('2')),
                             found[first].tags)
            self.assertEqual({'n': '1'}, found[first].labels)
            self.assertEqual((self.tag('3'),), found[second].tags)

    def test_list_tells_the_tags_that_match(self):
        self.load(self.tag('1'), self.tag('2'))
        image, = self.client.list_images(self.tag('2'))
        self.assertEqual((self.tag('2'),), image.tags)

    def test_list_by_labels(self):
        """Untagged images are found as well, and all labels must match."""
        labels = {'unique': self.unique, 'n': '1'}
        self.load(self.tag('other'), Labels={'unique': self.unique})
        tagged = self.load(self.tag('1'), Labels=labels)
        self.assertEqual([tagged], [
            image.id for image in self.client.list_labelled_images(labels)])
        self.client.remove_image(self.tag('1'))
        container = self.create('true')
        committed = self.client.commit(container, labels)
        self.addCleanup(self.client.remove_image, committed)
        image, = self.client.list_labelled_images(labels)
        self.assertEqual(committed, image.id)
        self.assertEqual((), image.tags)

    def test_list_of_a_namespace_alone(self):
        self.load(self.tag())
        self.assertEqual([], self.client.list_images(NAMESPACE))

    def test_remove(self):
        expected = self.load(self.tag('1'), self.tag('2'))
        self.client.remove_image(self.tag('1'))
        self.assertEqual((self.tag('2'),),
                         self.client.get_image(expected).tags)
        self.client.remove_image(self.tag('2'))
        self.assertIsNone(self.client.find_image(expected))

    def test_remove_by_id(self):
        expected = self.load(self.tag('1'), self.tag('2'))
        self.assertRefused(exception.Conflict, self.client.remove_image,
                           expected)
        self.client.remove_image(self.tag('1'))
        self.client.remove_image(expected)
        self.assertIsNone(self.client.find_image(expected))

    def test_remove_in_use(self):
        expected = self.load(self.tag('1'), self.tag('2'))
        container = self.create(image=self.tag('1'))
        self.client.remove_image(self.tag('1'))
        for reference in (self.tag('2'), expected):
            self.assertRefused(exception.Conflict, self.client.remove_image,
                               reference)
        self.client.remove(container)
        self.client.remove_image(self.tag('2'))

    def test_save_by_tag(self):
        expected = self.load(self.tag())
        archive = b''.join(self.client.save(self.tag()))
        self.client.remove_image(self.tag())
        self.client.load([archive])
        image = self.client.get_image(expected)
        self.assertEqual((self.tag(),), image.tags)

    def test_save_by_id_carries_no_name(self):
        expected = self.load(self.tag())
        manifest = self.manifest(self.client.save(expected))
        self.assertIsNone(manifest['RepoTags'])

    def test_save_can_be_given_up(self):
        self.load(self.tag())
        chunks = self.client.save(self.tag())
        self.assertTrue(next(chunks))
        chunks.close()
        self.assertIsNotNone(self.client.find_image(self.tag()))

    def test_import(self):
        self.client.import_image(
            self.file_system, self.tag(),
            changes=['LABEL "a.b"="c d"', 'ENTRYPOINT ["sh", "-c"]',
                     'CMD ["exit 6"]'])
        image = self.client.get_image(self.tag())
        self.assertEqual({'a.b': 'c d'}, image.labels)
        self.assertEqual(('sh', '-c'), image.entrypoint)
        container = self.create(image=self.tag())
        self.client.start(container)
        self.assertEqual(6, self.client.wait(container, PATIENCE_S))

    def test_import_refused(self):
        for kind, tar, tag, changes in (
            (exception.EngineError, b'junk' * 1000, self.tag(), []),
            (exception.InvalidSpec, self.file_system, self.tag(), ['X y']),
            (exception.InvalidSpec, self.file_system, self.tag().upper(),
             []),
        ):
            self.assertRefused(kind, self.client.import_image, tar, tag,
                               changes)
            self.assertIsNone(self.client.find_image(self.tag()))

    def test_commit(self):
        container = self.create('sh', '-c', 'exit 3', labels={'n': '1'})
        self.client.put_archive(container, '/',
                                archives.tar({'etc/mark': b'made'}))
        image = self.commit(container, {})
        self.assertEqual((), image.tags)
        self.assertEqual(('sh', '-c', 'exit 3'), image.command)
        self.assertEqual('1', image.labels['n'])
        self.assertEqual(b'made', self.file(image.id, 'etc/mark'))
        self.assertEqual(3, self.client.wait(
            self.run_container(image=image.id, command=None), PATIENCE_S))

    def test_commit_takes_labels_literally(self):
        labels = {'n': '2', 'odd': 'a "b" $HOME \\ \' \n c=d'}
        container = self.create(labels={'n': '1'})
        image = self.commit(container, labels)
        self.assertEqual({LABEL: self.unique, **labels}, image.labels)

    def test_commit_leaves_the_state(self):
        container = self.run_container()
        for pause in (True, False):
            before = self.get(container)
            self.commit(container, {'pause': str(pause)}, pause=pause)
            self.assertEqual(before, self.get(container))
        self.client.pause(container)
        self.commit(container, {})
        self.assertState(model.PAUSED, container)

    def test_written_bytes(self):
        container = self.create()
        self.assertEqual(0, self.client.written_bytes(container))
        self.client.put_archive(container, '/', archives.tar(
            {'etc/mark': b'm' * 5000}))
        self.assertEqual(5000, self.client.written_bytes(container))
        self.assertRefused(exception.NotFound, self.client.written_bytes,
                           'contract-none')

    def test_written_bytes_count_holes_and_no_link_twice(self):
        container = self.run_to_end(
            'sh', '-c', 'truncate -s 3000000000 /hole; ln /hole /link')
        self.assertEqual(3000000000, self.client.written_bytes(container))

    def test_image_below_a_commit(self):
        base = self.load(self.tag())
        container = self.create(image=self.tag())
        child = self.client.commit(container, {})
        self.client.remove(container)
        self.assertRefused(exception.Conflict, self.client.remove_image,
                           base)
        self.client.remove_image(self.tag())
        self.assertEqual((), self.client.get_image(base).tags)
        self.client.remove_image(child)
        self.assertIsNone(self.client.find_image(base))

    # Helpers

    def archive(self, *tags):
        layer = archives.tar({self.unique: self.unique.encode() * 4000})
        return archives.save(archives.config([layer], Cmd=['sh']), [layer],
                             tags)

    def commit(self, container, labels, **arguments):
        image = self.client.commit(container, labels, **arguments)
        self.addCleanup(self.client.remove_image, image)
        self.addCleanup(self._remove_all)
        return self.client.get_image(image)

    def manifest(self, chunks):
        with self._opened(chunks) as archive:
            manifest, = json.load(archive.extractfile('manifest.json'))
        return manifest

    def file(self, image, name):
        """A file of the topmost layer of a saved image."""
        with self._opened(self.client.save(image)) as archive:
            manifest, = json.load(archive.extractfile('manifest.json'))
            config = archive.extractfile(manifest['Config']).read()
            self.assertEqual(image, archives.digest(config))
            layer = archive.extractfile(manifest['Layers'][-1]).read()
        self.assertEqual('sha256:' + hashlib.sha256(layer).hexdigest(),
                         json.loads(config)['rootfs']['diff_ids'][-1])
        with self._opened([layer]) as files:
            return files.extractfile(name).read()

    def _opened(self, chunks):
        return tarfile.open(fileobj=io.BytesIO(b''.join(chunks)))


class StreamContract(Contract):

    def test_log_of_both_streams(self):
        container = self.run_to_end('sh', '-c', 'echo out; echo err >&2')
        self.assertEqual(
            {b'out', b'err'},
            set(self.client.logs(container, 1000).splitlines()))

    def test_log_of_a_terminal(self):
        container = self.run_to_end(
            'sh', '-c', 'echo out; echo err >&2; printf end', tty=True)
        self.assertEqual(b'out\r\nerr\r\nend',
                         self.client.logs(container, 1000))

    def test_log_of_what_never_ran(self):
        self.assertEqual(b'', self.client.logs(self.create(), 1000))

    def test_log_while_running(self):
        container = self.run_container('sh', '-c', 'echo up; sleep 600')
        for _attempt in range(PATIENCE_S * 10):
            log = self.client.logs(container, 1000)
            if log:
                break
            self.client.wait(container, 0.1)
        self.assertEqual(b'up\n', log)

    def test_log_of_all_runs(self):
        container = self.run_to_end('echo', 'again')
        self.client.start(container)
        self.client.wait(container, PATIENCE_S)
        self.assertEqual(b'again\nagain\n', self.client.logs(container, 100))

    def test_log_is_cut_to_its_end(self):
        container = self.run_to_end('echo', '0123456789')
        for size, expected in ((4, b'789\n'), (11, b'0123456789\n'),
                               (12, b'0123456789\n'), (0, b'')):
            self.assertEqual(expected, self.client.logs(container, size))

    def test_log_of_many_short_lines(self):
        for tty in (False, True):
            container = self.run_to_end('seq', '1', '5000', tty=tty)
            end = b'\r\n' if tty else b'\n'
            whole = b''.join(b'%d' % n + end for n in range(1, 5001))
            self.assertEqual(whole[-20000:],
                             self.client.logs(container, 20000))

    def test_log_of_a_long_line(self):
        text = 'x' * 50000
        container = self.run_to_end('echo', text)
        self.assertEqual(text.encode() + b'\n',
                         self.client.logs(container, 100000))

    def test_archive_goes_into_any_state(self):
        created, running, paused = (
            self.create(), self.run_container(), self.run_container())
        self.client.pause(paused)
        for container in (created, running, paused):
            self.client.put_archive(container, '/bin',
                                    archives.tar({'new': b'file'}))

    def test_archive_refused(self):
        container = self.create()
        files = archives.tar({'name': b'file'})
        self.assertRefused(exception.NotFound, self.client.put_archive,
                           container, '/nonexistent', files)
        self.assertRefused(exception.EngineError, self.client.put_archive,
                           container, '/', b'junk' * 1000)

    def test_path_exists(self):
        container = self.create()
        for path in ('/', '/bin', '/bin/busybox', '/bin/sh'):
            self.assertTrue(self.client.path_exists(container, path), path)
        for path in ('/nonexistent', '/nonexistent/file', '/bin/none'):
            self.assertFalse(self.client.path_exists(container, path), path)
        self.assertRefused(exception.EngineError, self.client.path_exists,
                           container, '/bin/busybox/file')

    def test_path_exists_once_it_is_put_there(self):
        container = self.create()
        self.client.put_archive(container, '/bin', archives.directories(
            'new', 'new/inner'))
        self.assertTrue(self.client.path_exists(container, '/bin/new/inner'))


class ErrorContract(Contract):

    def test_missing_container(self):
        for verb, *arguments in (
            ('start',), ('stop', 0), ('kill',), ('pause',), ('unpause',),
            ('rename', 'other'), ('remove',), ('wait', 1),
            ('get_container',), ('logs', 10), ('commit', {}),
            ('put_archive', '/', archives.tar({})),
            ('recreate', self.name('twin'), self.image, 'other'),
        ):
            with self.subTest(verb):
                error = self.assertRefused(
                    exception.NotFound, getattr(self.client, verb),
                    self.name(), *arguments)
                self.assertIn(self.name(), str(error))

    def test_missing_image(self):
        self.assertRefused(exception.ImageNotFound, self.create,
                           image=self.tag())
        self.assertRefused(exception.ImageNotFound, self.client.get_image,
                           self.tag())
        self.assertRefused(exception.ImageNotFound, self.client.remove_image,
                           self.tag())
        self.assertRefused(exception.ImageNotFound, next,
                           self.client.save(self.tag()))

    def test_impossible_limits(self):
        for limits in ({'memory_bytes': 1 << 20},
                       {'nano_cpus': 10 ** 13},
                       {'runtime': 'nonexistent'}):
            with self.subTest(limits):
                self.assertRefused(exception.InvalidSpec, self.create,
                                   **limits)
        self.assertEqual(
            [], self.client.list_containers({LABEL: self.unique}))

    def test_info(self):
        info = self.client.info()
        self.assertGreaterEqual(
            tuple(map(int, info.api_version.split('.'))), (1, 41))
        self.assertGreater(info.cpus, 0)
        self.assertGreater(info.memory_bytes, 64 << 20)
        self.assertTrue(info.root_directory.startswith('/'))
        self.assertIn('runc', info.runtimes)
        self.assertIn(info.cgroup_version, ('1', '2'))
        self.assertTrue(info.storage_driver)
        self.assertTrue(info.version)
        self.assertTrue(info.architecture)


class WaitContract(Contract):
    """What waiting for a container tells of the engine."""

    def test_answer_begins_before_the_end(self):
        """So that an engine which hangs is no container that runs."""
        impatient = engine_client.DockerClient(self.client.url, timeout_s=1)
        self.addCleanup(impatient.close)
        container = self.run_container('sleep', '3')
        self.assertIsNone(impatient.wait(container, 1.5))
        self.assertEqual(0, impatient.wait(container, PATIENCE_S))

    def test_no_time_at_all(self):
        self.assertIsNone(self.client.wait(self.run_container(), 0))


class PolicyContract(Contract):

    def test_log_end_is_that_of_the_whole_log(self):
        for lines, size in ((10, 100), (999, 2000), (5000, 20000),
                            (5000, 4)):
            container = self.run_to_end('seq', '1', str(lines))
            whole = b''.join(b'%d\n' % n for n in range(1, lines + 1))
            self.assertEqual(whole[-size:], policy.log_end(
                self.client, container, size))

    def test_log_end_of_a_long_line(self):
        text = 'x' * 50000
        container = self.run_to_end('echo', text)
        self.assertEqual(text.encode() + b'\n', policy.log_end(
            self.client, container, 100000))

    def test_start_of_what_runs(self):
        container = self.run_container()
        before = self.get(container)
        policy.start(self.client, container)
        self.assertEqual(before, self.get(container))

    def test_start_that_cannot_succeed(self):
        container = self.create('/nonexistent')
        self.assertRefused(exception.InvalidSpec, policy.start, self.client,
                           container)
        self.assertRefused(exception.NotFound, policy.start, self.client,
                           self.name('nobody'))
