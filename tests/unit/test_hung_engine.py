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


"""An engine that listens and says nothing: nobody waits for the others.

The engine hangs by ``hang``, which every request of a test falls for.
"""

import concurrent.futures
import socket
import threading
import time

import fixtures
from nova.compute import power_state
from oslo_utils.fixture import uuidsentinel as uuids
import testtools

from novadocker.virt.docker import driver
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import turns
from novadocker.virt.docker import names
from tests.fakes import archives
from tests.fakes import engine_http
from tests import together
from tests.unit import driver_case

CALLERS = 20
TIMEOUT_S = 1
IMAGE = 'test/busybox:1'


def hang(fake, requests=500):
    """Nothing more is answered, whatever is asked."""
    for method in ('GET', 'HEAD', 'POST', 'PUT', 'DELETE'):
        for _number in range(requests):
            fake.hang_next(method, '*')


class HungCase(together.SilenceAssertions):
    # Twenty callers, one after another, would take twenty timeouts.
    most_s = 10


class Silence(fixtures.Fixture):
    """A socket that takes connections, and never a word."""

    def __init__(self, family=socket.AF_UNIX, backlog=128):
        super().__init__()
        self._family = family
        self._backlog = backlog

    def _setUp(self):
        listener = socket.socket(self._family)
        self.addCleanup(listener.close)
        if self._family == socket.AF_UNIX:
            path = self.useFixture(fixtures.TempDir()).join('socket')
            listener.bind(path)
            self.url = 'unix://' + path
        else:
            listener.bind(('127.0.0.1', 0))
            self.url = 'tcp://127.0.0.1:%d' % listener.getsockname()[1]
        listener.listen(self._backlog)


class ConnectingTest(HungCase, testtools.TestCase):
    """The engine hangs already when it is met."""

    def meet(self, silence, **arguments):
        met = client.DockerClient(self.useFixture(silence).url,
                                  timeout_s=TIMEOUT_S, **arguments)
        self.addCleanup(met.close)
        return met

    def test_all_at_once(self):
        for silence, tls in ((Silence(), None),
                             (Silence(socket.AF_INET), None),
                             (Silence(socket.AF_INET), model.Tls())):
            met = self.meet(silence, tls=tls)
            self.assertAllAtOnce([met.info] * CALLERS)

    def test_close_waits_for_nobody(self):
        met = self.meet(Silence())
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            connecting = pool.submit(met.connect)
            started = time.monotonic()
            met.close()
            self.assertLess(time.monotonic() - started, TIMEOUT_S)
            self.assertOutage(connecting.exception())

    def test_no_more_connections_taken(self):
        silence = Silence(backlog=0)
        met = self.meet(silence)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(silence.url.removeprefix('unix://'))
            error = self.assertRaises(exception.EngineUnavailable, met.info)
        self.assertIn('it hangs', str(error))


class HungClientTest(HungCase, testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(engine_http.FakeEngine(
            timeout_s=TIMEOUT_S, stream_timeout_s=TIMEOUT_S))
        self.fake.engine.add_image(archives.image(IMAGE))
        self.client = self.fake.client
        self.container = self.client.create(model.ContainerSpec(
            name='server', image=IMAGE, labels={}, network_mode='none',
            command=('sleep', '600')))

    def verbs(self):
        """Every verb that asks the engine."""
        spec = model.ContainerSpec(name='other', image=IMAGE, labels={},
                                   network_mode='none')
        return {
            'info': (), 'create': (spec,),
            'recreate': (self.container, 'twin', IMAGE, 'owner', {}),
            'start': (self.container,), 'stop': (self.container, 0),
            'kill': (self.container,), 'pause': (self.container,),
            'unpause': (self.container,),
            'rename': (self.container, 'new'), 'remove': (self.container,),
            'wait': (self.container, 0.1),
            'get_container': (self.container,),
            'find_container': (self.container,), 'list_containers': ({},),
            'logs': (self.container, 10),
            'put_archive': (self.container, '/', archives.tar({})),
            'path_exists': (self.container, '/'),
            'written_bytes': (self.container,),
            'load': ([archives.image(IMAGE)],),
            'import_image': (archives.tar({}), 'a:1', ()),
            'commit': (self.container, {}), 'get_image': (IMAGE,),
            'find_image': (IMAGE,), 'list_images': ('*',),
            'list_labelled_images': ({},), 'remove_image': (IMAGE,),
        }

    def bound_verbs(self):
        return [lambda name=name, arguments=arguments: getattr(
            self.client, name)(*arguments)
            for name, arguments in self.verbs().items()
        ] + [lambda: list(self.client.save(IMAGE))]

    def test_every_verb_is_here(self):
        public = {name for name in vars(client.DockerClient)
                  if not name.startswith('_')}
        self.assertEqual(public - {'connect', 'close', 'save'},
                         set(self.verbs()))

    def test_every_verb_at_once(self):
        hang(self.fake)
        self.assertAllAtOnce(self.bound_verbs())

    def test_every_verb_at_once_after_a_failure(self):
        hang(self.fake)
        self.assertOutage(self.assertRaises(
            exception.EngineUnavailable, self.client.info))
        self.assertAllAtOnce(self.bound_verbs())

    def test_nothing_is_left_open(self):
        for _number in range(CALLERS):
            self.fake.hang_next('GET', '/images/*')
        self.assertAllAtOnce(
            [lambda: self.client.find_image(IMAGE)] * CALLERS)
        self.assertIsNotNone(self.client.find_image(IMAGE))
        self.client.close()
        # Those that hang see that the client went away.
        self.fake.faults.release()
        self.fake.wait_until_idle()

    def test_stream_starts_while_another_connects(self):
        hanging = threading.Thread(target=self.assertRaises, args=(
            exception.EngineUnavailable, self.client.connect))
        self.client.close()
        self.fake.hang_next('GET', '/version')
        hanging.start()
        self.addCleanup(hanging.join)
        while self.fake.calls[-1] != ('GET', '/version'):
            time.sleep(0.01)
        self.assertTrue(list(self.client.save(IMAGE)))
        self.assertTrue(hanging.is_alive())

    def test_wait_tells_an_engine_that_hangs_from_a_container_that_runs(self):
        self.client.start(self.container)
        self.assertIsNone(self.client.wait(self.container, 0.1))
        self.fake.hang_next('POST', '*/wait')
        self.assertOutage(self.assertRaises(
            exception.EngineUnavailable, self.client.wait, self.container,
            0.1))

    def test_second_chance_is_short(self):
        """A story that undoes its steps does not take a timeout for each."""
        patient = client.DockerClient(self.fake.url, timeout_s=TIMEOUT_S)
        self.addCleanup(patient.close)
        self.useFixture(fixtures.MonkeyPatch(
            'novadocker.virt.docker.engine.connection._SECOND_CHANCE_S',
            0.05))
        patient.connect()
        hang(self.fake)
        self.assertRaises(exception.EngineUnavailable, patient.info)
        started = time.monotonic()
        for _step in range(5):
            self.assertRaises(exception.EngineUnavailable, patient.info)
        self.assertLess(time.monotonic() - started, 5 * TIMEOUT_S)


class TurnTest(HungCase, testtools.TestCase):

    def test_one_at_a_time(self):
        turn, at_work, seen = turns.Turn(), [], []

        def work():
            with turn.taken():
                at_work.append(1)
                seen.append(len(at_work))
                at_work.pop()

        together.at_once([work] * CALLERS)
        self.assertEqual([1] * CALLERS, seen)

    def test_who_waited_fails_with_the_one_at_work(self):
        turn, tries = turns.Turn(), []

        def work():
            with turn.taken():
                tries.append(1)
                time.sleep(TIMEOUT_S)
                raise exception.EngineUnavailable(
                    url='u', reason='no answer in time')

        self.assertAllAtOnce([work] * CALLERS)
        self.assertLess(len(tries), CALLERS)

    def test_who_comes_later_tries_anew(self):
        turn = turns.Turn()
        with testtools.ExpectedException(exception.EngineForbidden):
            with turn.taken():
                raise exception.EngineForbidden(url='u', reason='r')
        with turn.taken():
            pass

    def test_other_failures_are_ones_own(self):
        turn, held = turns.Turn(), threading.Event()

        def fail():
            with turn.taken():
                held.set()
                time.sleep(0.2)
                raise exception.LoadError(reason='r')

        def work():
            held.wait()
            with turn.taken():
                return 'done'

        outcomes, _took_s = together.at_once([fail, work])
        self.assertEqual('done', outcomes[1])

    def test_names_do_not_wait_for_each_other(self):
        named = turns.Turns()
        with named.taken('one'), named.taken('other'):
            pass


class HungDriverTest(HungCase, driver_case.DriverCase):

    def setUp(self):
        super().setUp()
        self.flags(api_timeout=TIMEOUT_S, stream_timeout=TIMEOUT_S,
                   group='docker')
        self.driver = self.made()

    def made(self):
        made = driver.DockerDriver(self.virtapi)
        self.addCleanup(made.cleanup_host, driver_case.HOST)
        return made

    def instances(self):
        return [self.instance(getattr(uuids, 'server%d' % number))
                for number in range(CALLERS)]

    def test_looking(self):
        instance = self.spawn()
        hang(self.fake_engine)
        self.assertAllAtOnce([
            lambda: self.driver.get_info(instance, use_cache=False),
            lambda: self.driver.get_available_resource(driver_case.HOST),
            self.driver.list_instance_uuids,
            lambda: self.driver.get_console_output(self.context, instance),
        ] * (CALLERS // 4))

    def test_spawn_of_one_image(self):
        """They wait for one lock while the first of them asks."""
        self.driver.init_host(driver_case.HOST)
        instances = self.instances()
        for _number in range(CALLERS):
            self.fake_engine.hang_next('GET', '/images/*/json')
        self.assertAllAtOnce([
            lambda instance=instance: self.spawn(instance, network_info=[])
            for instance in instances])

    def test_sandbox_image_lock(self):
        self.fake_engine.client.remove_image(names.SANDBOX_IMAGE)
        for _number in range(CALLERS):
            self.fake_engine.hang_next('GET', '/images/*/json')
        self.assertAllAtOnce([self.driver._sandboxes.ensure_image] * CALLERS)

    def test_start_and_stop_of_the_service(self):
        hang(self.fake_engine)
        fresh = self.made()
        self.assertServiceStartsAndStops(
            lambda: fresh.init_host(driver_case.HOST),
            lambda: self.driver.cleanup_host(driver_case.HOST))

    def test_afterwards(self):
        instance = self.spawn()
        for _number in range(CALLERS):
            self.fake_engine.hang_next('GET', '*')
        self.assertAllAtOnce([lambda: self.driver.get_info(
            instance, use_cache=False)] * CALLERS)
        info = self.driver.get_info(instance, use_cache=False)
        self.assertEqual(power_state.RUNNING, info.state)
