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


"""The client's own affairs: connections, versions, TLS, failures.

What it makes of a healthy engine is the contract's subject. Here too it
speaks to a server over a real socket.
"""

import contextlib
import datetime
import errno
import ipaddress
import os
import ssl
import threading
import time
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
import fixtures
import testtools

from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import connection
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from tests.fakes import archives
from tests.fakes import engine_http

IMAGE = 'test/busybox:1'


class ClientTestCase(testtools.TestCase):

    def fake(self, **arguments):
        fake = self.useFixture(engine_http.FakeEngine(**arguments))
        fake.engine.add_image(archives.image(IMAGE))
        return fake

    def client_of(self, fake, **arguments):
        made = client.DockerClient(fake.url, **arguments)
        self.addCleanup(made.close)
        return made

    def create(self, engine_client, name, *command):
        return engine_client.create(model.ContainerSpec(
            name=name, image=IMAGE, labels={'test': '1'},
            network_mode='none', command=command or ('sleep', '600')))

    @contextlib.contextmanager
    def quickly(self, seconds=5):
        started = time.monotonic()
        yield
        self.assertLess(time.monotonic() - started, seconds)


class VersionTest(ClientTestCase):

    def speak(self, offered, minimum='1.12'):
        fake = self.fake()
        fake.engine.api_version = offered
        fake.engine.min_api_version = minimum
        return fake.client.info().api_version

    def test_oldest(self):
        self.assertEqual('1.41', self.speak('1.41'))

    def test_newer_than_known(self):
        self.assertEqual('1.44', self.speak('1.52', '1.24'))

    def test_between(self):
        self.assertEqual('1.43', self.speak('1.43'))

    def test_known_ones_no_longer_spoken(self):
        self.assertEqual('1.45', self.speak('1.52', '1.45'))

    def test_too_old(self):
        error = self.assertRaises(exception.EngineTooOld, self.speak, '1.40')
        self.assertIn('1.40', str(error))
        self.assertIn('1.41', str(error))

    def test_too_old_in_numbers(self):
        self.assertRaises(exception.EngineTooOld, self.speak, '1.9', '1.1')

    def test_asked_once(self):
        fake = self.fake()
        for _call in range(3):
            fake.client.connect()
            fake.client.info()
        self.assertEqual(1, fake.calls.count(('GET', '/version')))

    def test_engine_that_returns_as_another(self):
        fake = self.fake()
        self.assertEqual('1.41', fake.client.info().api_version)
        fake.stop()
        self.assertRaises(exception.EngineUnavailable, fake.client.info)
        fake.engine.api_version = '1.52'
        fake.engine.min_api_version = '1.44'
        fake.start()
        self.assertEqual('1.44', fake.client.info().api_version)
        self.assertEqual([], fake.client.list_containers({'a': 'b'}))

    def test_engine_that_returns_as_another_unnoticed(self):
        """Between two calls: it refuses one, in a dialect it lost."""
        fake = self.fake()
        self.assertEqual('1.41', fake.client.info().api_version)
        fake.engine.api_version = '1.52'
        fake.engine.min_api_version = '1.44'
        self.assertRaises(exception.InvalidSpec, fake.client.info)
        self.assertEqual('1.44', fake.client.info().api_version)

    def test_something_else_that_speaks_http(self):
        fake = self.fake()
        for body in (b'', b'<html>', b'{}', b'[]',
                     b'{"Version": "x", "ApiVersion": 1}',
                     b'{"Version": "x", "ApiVersion": "none"}'):
            fake.routes = (('GET', '/version', lambda handler, body=body:
                            handler.send_chunks('text/html', [body])),)
            error = self.assertRaises(exception.EngineUnavailable,
                                      fake.client.connect)
            self.assertIn(fake.url, str(error))

    def test_no_version_to_be_had(self):
        fake = self.fake()
        fake.fail_next('GET', '/version', 400, 'this is no engine')
        error = self.assertRaises(exception.EngineUnavailable,
                                  fake.client.connect)
        self.assertIn('this is no engine', str(error))


class ConnectionTest(ClientTestCase):

    def test_constructor_does_not_connect(self):
        fake = self.fake()
        self.assertEqual(0, fake.connections_made)
        client.DockerClient('unix:///nonexistent/socket')

    def test_url_that_names_no_engine(self):
        for url in ('tcp://host', 'tcp://host:port', 'tcp://:1', 'tcp://[::1',
                    'ssh://host:22', '/var/run/docker.sock', ''):
            error = self.assertRaises(exception.EngineUnavailable,
                                      client.DockerClient(url).connect)
            self.assertIn('[docker]host_url', str(error))

    def test_one_connection_for_all_containers(self):
        fake = self.fake()
        for number in range(30):
            name = 'server-%d' % number
            self.create(fake.client, name)
            fake.client.start(name)
            fake.client.logs(name, 100)
            fake.client.get_container(name)
        self.assertEqual(1, fake.connections_made)

    def test_tcp_keeps_its_connection(self):
        fake = self.fake(tcp=True)
        for _call in range(10):
            fake.client.info()
        self.assertEqual(1, fake.connections_made)

    def test_many_threads(self):
        for tcp in (False, True):
            fake = self.fake(tcp=tcp)
            threads = [threading.Thread(target=self._work, args=(fake, n))
                       for n in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(24 * 3, sum(
                1 for _method, path in fake.calls if path.endswith('start')))
            self.assertEqual(set(), set(fake.engine.containers))
            self.assertLessEqual(fake.connections_made, 25)

    def _work(self, fake, number):
        for turn in range(3):
            name = 'server-%d-%d' % (number, turn)
            self.create(fake.client, name)
            fake.client.start(name)
            fake.client.find_container(name)
            fake.client.remove(name)

    def test_streams_have_their_own(self):
        fake = self.fake()
        fake.client.connect()
        chunks = fake.client.save(IMAGE)
        next(chunks)
        self.assertEqual(2, fake.connections_made)
        chunks.close()

    def test_stream_given_up_is_cut(self):
        fake = self.fake()
        fake.client.load([archives.image(
            'test/big:1', layer=archives.tar({'zero': bytes(8 << 20)}))])
        chunks = fake.client.save('test/big:1')
        next(chunks)
        chunks.close()
        # The engine would keep the archive on its disk while it can send.
        with self.quickly():
            fake.wait_until_idle(connections=1)

    def test_close_is_not_the_end(self):
        fake = self.fake()
        fake.client.info()
        fake.client.close()
        fake.client.close()
        fake.client.info()
        self.assertEqual(2, fake.connections_made)

    def test_one_request_each(self):
        fake = self.fake()
        self.create(fake.client, 'server')
        del fake.calls[:]
        fake.client.list_containers({'test': '1', 'other': '2'})
        fake.client.get_container('server')
        self.assertEqual([('GET', '/containers/json'),
                          ('GET', '/containers/server/json')], fake.calls)

    def test_environment_is_not_for_engines(self):
        for name in ('HTTP_PROXY', 'http_proxy', 'ALL_PROXY'):
            self.useFixture(fixtures.EnvironmentVariable(
                name, 'http://127.0.0.1:1'))
        self.useFixture(fixtures.EnvironmentVariable('NO_PROXY'))
        self.useFixture(fixtures.EnvironmentVariable('no_proxy'))
        self.fake(tcp=True).client.info()


class OutageTest(ClientTestCase):

    def assertOutage(self, text, verb, *arguments):
        error = self.assertRaises(exception.EngineUnavailable, verb,
                                  *arguments)
        self.assertIs(exception.EngineUnavailable, type(error))
        self.assertIn(text, str(error))

    def test_dead_and_back(self):
        fake = self.fake()
        for keep_socket in (False, True):
            fake.client.info()
            fake.stop(keep_socket=keep_socket)
            for _attempt in range(2):
                self.assertOutage('nothing listens', fake.client.info)
                self.assertOutage('nothing listens', fake.client.load, [])
            fake.start()
            fake.client.info()

    def test_restart_between_calls_goes_unnoticed(self):
        fake = self.fake()
        fake.client.info()
        fake.stop()
        fake.start()
        fake.client.info()

    def test_tcp_dead(self):
        fake = self.fake(tcp=True)
        fake.stop()
        self.assertOutage('nothing listens', fake.client.info)

    def test_death_amid_a_call(self):
        fake = self.fake()
        container = self.create(fake.client, 'server')
        fake.drop_next('POST', '/containers/*/start')
        self.assertOutage(fake.url, fake.client.start, container)
        fake.client.start(container)

    def test_death_amid_a_wait(self):
        fake = self.fake()
        container = self.create(fake.client, 'server')
        fake.client.start(container)
        death = threading.Timer(0.2, fake.stop)
        death.start()
        self.addCleanup(death.join)
        self.assertOutage(fake.url, fake.client.wait, container, 30)

    def test_death_amid_an_answer(self):
        fake = self.fake()
        container = self.create(fake.client, 'server')
        for verb, arguments, pattern in (
            (fake.client.logs, (container, 10), '*/logs'),
            (lambda: list(fake.client.save(IMAGE)), (), '*/get'),
        ):
            fake.break_body_next('GET', pattern, b'\x01\0\0\0\0\0\0\x09abc')
            self.assertOutage(fake.url, verb, *arguments)

    def test_answer_that_is_cut_or_garbled(self):
        """Whatever its length, told or in chunks."""
        fake = self.fake()
        container = self.create(fake.client, 'server')
        for verb, arguments, method, pattern in (
            (fake.client.info, (), 'GET', '/info'),
            (fake.client.wait, (container, 5), 'POST', '*/wait'),
            (fake.client.load, ([b''],), 'POST', '/images/load'),
            (fake.client.import_image, (b'', 'a:1', ()), 'POST',
             '/images/create'),
            (fake.client.commit, (container, {}), 'POST', '/commit'),
        ):
            for strike in (
                lambda: fake.break_body_next(method, pattern, b'{"a": '),
                lambda: self.answer_next(fake, method, pattern, b'{"a": '),
                lambda: self.answer_next(fake, method, pattern, b'{"a": 1}',
                                         length=100),
            ):
                strike()
                self.assertOutage(fake.url, verb, *arguments)
                fake.routes = ()

    def answer_next(self, fake, method, pattern, body, length=None):
        """Any body, with a length that need not be its own."""
        def answer(handler, *_arguments):
            handler.send_response(200)
            handler.send_header('Content-Length', str(length or len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            handler.close_connection = True
        fake.routes = ((method, pattern.replace('*', '.*'), answer),)

    def test_death_amid_a_load(self):
        fake = self.fake()
        fake.drop_next('POST', '/images/load')
        self.assertOutage(fake.url, fake.client.load,
                          [bytes(1 << 20)] * 8)

    def test_silence(self):
        fake = self.fake(timeout_s=0.3)
        container = self.create(fake.client, 'server')
        fake.hang_next('GET', '/info')
        fake.hang_next('POST', '*/start')
        with self.quickly():
            self.assertOutage('no answer in time', fake.client.info)
            self.assertOutage('no answer in time', fake.client.start,
                              container)
        fake.client.start(container)

    def test_silence_amid_an_answer(self):
        fake = self.fake(timeout_s=0.3, stream_timeout_s=0.3)
        container = self.create(fake.client, 'server')
        fake.break_body_next('GET', '*/logs', b'\x01', hang=True)
        fake.break_body_next('GET', '*/get', b'part', hang=True)
        with self.quickly():
            self.assertOutage('no answer in time', fake.client.logs,
                              container, 10)
            self.assertOutage('no answer in time', list,
                              fake.client.save(IMAGE))

    def test_terminal_log_in_silence(self):
        fake = self.fake(timeout_s=0.3)
        container = fake.client.create(model.ContainerSpec(
            name='server', image=IMAGE, labels={}, network_mode='none',
            tty=True))
        fake.break_body_next('GET', '*/logs', b'part', hang=True)
        with self.quickly():
            self.assertOutage('no answer in time', fake.client.logs,
                              container, 10)

    def test_streams_may_think_longer(self):
        fake = self.fake(timeout_s=0.2)
        fake.delay_next('POST', '/images/load', 0.5)
        fake.delay_next('GET', '*/get', 0.5)
        fake.delay_next('POST', '/images/create', 0.5)
        fake.delay_next('POST', '/commit', 0.5)
        fake.client.load([archives.image('test/other:1')])
        self.assertTrue(list(fake.client.save('test/other:1')))
        fake.client.import_image(archives.busybox(), 'test/third:1', [])
        fake.client.commit(self.create(fake.client, 'server'), {})

    def test_stop_may_take_its_timeout(self):
        fake = self.fake(timeout_s=0.2)
        container = self.create(fake.client, 'server')
        fake.client.start(container)
        fake.delay_next('POST', '*/stop', 0.5)
        fake.client.stop(container, 1)
        self.assertEqual([1], fake.engine.get(container).stop_timeouts)

    def test_forbidden_socket(self):
        refusal = PermissionError(errno.EACCES, 'Permission denied')
        fake = self.fake()
        with mock.patch.object(connection._UnixConnection, 'connect',
                               side_effect=refusal):
            error = self.assertRaises(exception.EngineForbidden,
                                      fake.client.info)
        self.assertIn('group that owns the socket', str(error))


class StatusTest(ClientTestCase):

    def test_types_by_status_alone(self):
        fake = self.fake()
        for status, kind in ((400, exception.InvalidSpec),
                             (403, exception.EngineError),
                             (404, exception.NotFound),
                             (409, exception.Conflict),
                             (500, exception.EngineError),
                             (503, exception.EngineError)):
            fake.fail_next('GET', '/info', status,
                           'No such container, conflict, 404')
            error = self.assertRaises(kind, fake.client.info)
            self.assertIs(kind, type(error))
            self.assertIn('conflict, 404', str(error))

    def test_missing_image_is_no_missing_container(self):
        fake = self.fake()
        fake.fail_next('POST', '/containers/create', 404)
        self.assertRaises(exception.ImageNotFound, self.create, fake.client,
                          'server')

    def test_find_hides_nothing_but_absence(self):
        fake = self.fake()
        fake.fail_next('GET', '/containers/*', 500)
        fake.fail_next('GET', '/images/*', 500)
        self.assertRaises(exception.EngineError, fake.client.find_container,
                          'server')
        self.assertRaises(exception.EngineError, fake.client.find_image,
                          IMAGE)

    def test_load_that_is_refused(self):
        """A long message comes in chunks, as a good answer does."""
        fake = self.fake()
        for message in ('short', 'long ' * 1000):
            fake.fail_next('POST', '/images/load', 500, message)
            error = self.assertRaises(exception.EngineError,
                                      fake.client.load, [b''])
            self.assertIs(exception.EngineError, type(error))
            self.assertIn(message.strip(), str(error))


class LogTest(ClientTestCase):

    def test_no_more_than_asked_for_is_kept(self):
        fake = self.fake()
        container = self.create(fake.client, 'server')
        fake.engine.get(container).write(1, b'x' * (8 << 20))
        self.assertEqual(b'x' * 100, fake.client.logs(container, 100))


class TlsTest(ClientTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = fixtures.TempDir()
        directory.setUp()
        cls.addClassCleanup(directory.cleanUp)
        cls.authority = Authority(directory.path, 'authority')
        cls.stranger = Authority(directory.path, 'stranger')
        cls.server = cls.authority.issue('server', '127.0.0.1')
        cls.elsewhere = cls.authority.issue('elsewhere', '127.0.0.2')
        cls.user = cls.authority.issue('user')

    def serve(self, certificate=None, ask_clients=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(certificate or self.server))
        if ask_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority.path)
        return self.fake(tcp=True, tls=context)

    def info(self, fake, **tls):
        return self.client_of(fake, tls=model.Tls(**tls)).info()

    def assertForbidden(self, fake, **tls):
        error = self.assertRaises(exception.EngineForbidden, self.info, fake,
                                  **tls)
        self.assertIn('TLS failed', str(error))

    def test_verified(self):
        self.info(self.serve(), ca_file=self.authority.path, verify=True)

    def test_streams_too(self):
        fake = self.serve()
        verified = self.client_of(
            fake, tls=model.Tls(ca_file=self.authority.path))
        verified.load([archives.image('test/other:1')])
        self.assertTrue(list(verified.save('test/other:1')))

    def test_unverified_if_asked_for(self):
        self.info(self.serve(), verify=False)

    def test_unknown_authority(self):
        self.assertForbidden(self.serve(), verify=True)

    def test_wrong_authority(self):
        self.assertForbidden(self.serve(), ca_file=self.stranger.path,
                             verify=True)

    def test_wrong_host(self):
        self.assertForbidden(self.serve(self.elsewhere),
                             ca_file=self.authority.path, verify=True)

    def test_environment_does_not_choose_the_authority(self):
        for value in (self.authority.path, self.stranger.path):
            self.useFixture(fixtures.EnvironmentVariable(
                'REQUESTS_CA_BUNDLE', value))
            self.info(self.serve(), ca_file=self.authority.path, verify=True)
            self.info(self.serve(), verify=False)
            self.assertForbidden(self.serve(), ca_file=self.stranger.path,
                                 verify=True)

    def test_client_certificate(self):
        fake = self.serve(ask_clients=True)
        stranger = dict(zip(('cert_file', 'key_file'),
                            self.stranger.issue('user')))
        self.info(fake, ca_file=self.authority.path, verify=True,
                  cert_file=self.user[0], key_file=self.user[1])
        self.assertForbidden(fake, ca_file=self.authority.path, verify=True)
        self.assertForbidden(fake, ca_file=self.authority.path, verify=True,
                             **stranger)

    def test_missing_files(self):
        self.assertForbidden(self.serve(), ca_file='/nonexistent',
                             verify=True)
        self.assertForbidden(self.serve(), verify=False,
                             cert_file='/nonexistent',
                             key_file='/nonexistent')

    def test_plain_client(self):
        self.assertRaises(exception.EngineUnavailable,
                          self.client_of(self.serve()).info)

    def test_plain_engine(self):
        self.assertForbidden(self.fake(tcp=True), verify=False)


class Authority:
    """Issues certificates for an hour; ``path`` is its own."""

    def __init__(self, directory, name):
        self._directory = directory
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _distinguished(name)
        certificate = self._builder(self._subject, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.path = self._write(name + '.pem', certificate.sign(
            self._key, hashes.SHA256()))

    def issue(self, name, address=None):
        """Paths of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_distinguished(name), key)
        if address:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(address))]), False)
        name = '%s-%s' % (self._name, name)
        return (self._write(name + '.pem',
                            builder.sign(self._key, hashes.SHA256())),
                self._write_key(name + '.key', key))

    def _builder(self, subject, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        return (x509.CertificateBuilder().subject_name(subject)
                .issuer_name(self._subject).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - hour).not_valid_after(now + hour))

    def _write(self, name, certificate):
        return self._store(name, certificate.public_bytes(
            serialization.Encoding.PEM))

    def _write_key(self, name, key):
        return self._store(name, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))

    def _store(self, name, data):
        path = os.path.join(self._directory, name)
        with open(path, 'wb') as target:
            target.write(data)
        return path


def _distinguished(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
