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

"""How the plugin connects to an engine."""

import docker
import testtools

from heat_docker import client
from heat_docker import exception
from tests.fakes import engine_heat
from tests.heat import options


class ConnectionTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.options = self.useFixture(options.Options())

    def engine(self, url):
        return client.Engine(url, self.options.group)

    def test_plain(self):
        self.assertFalse(self.engine('tcp://one:2375')._tls())

    def test_tls_is_verified(self):
        self.options.set(ca_file=__file__, cert_file=__file__,
                         key_file=__file__)
        settings = self.engine('tcp://one:2376')._tls()
        self.assertTrue(settings.verify)
        self.assertEqual(__file__, settings.ca_cert)
        self.assertEqual((__file__, __file__), settings.cert)

    def test_verification_is_switched_off_by_the_operator_only(self):
        self.options.set(insecure=True)
        self.assertFalse(self.engine('tcp://one:2376')._tls().verify)

    def test_socket_has_no_tls(self):
        self.options.set(ca_file=__file__)
        self.assertFalse(self.engine('unix:///run/docker.sock')._tls())

    def test_certificate_that_is_missing(self):
        self.options.set(ca_file='/missing/ca.pem')
        error = self.assertRaises(
            exception.EngineUnavailable,
            self.engine('tcp://127.0.0.1:1').__enter__)
        self.assertIn('tcp://127.0.0.1:1', str(error))

    def test_nobody_listens(self):
        for url in ('unix:///nonexistent/docker.sock', 'tcp://127.0.0.1:1'):
            error = self.assertRaises(exception.EngineUnavailable,
                                      self.engine(url).__enter__)
            self.assertIn(url, str(error))

    def test_engine_that_hangs(self):
        fake = self.useFixture(engine_heat.FakeEngine())
        self.options.set(api_timeout=77)
        with self.engine(fake.url) as engine:
            self.assertEqual(77, engine._api.timeout)
            # Not before: also a connection takes its time on a busy machine.
            engine._api.timeout = 0.5
            fake.hang_next('GET', '/containers/*/json')
            self.assertRaises(exception.EngineUnavailable, engine.inspect,
                              'any')

    def test_tcp(self):
        fake = self.useFixture(engine_heat.FakeEngine(tcp=True))
        with self.engine(fake.url) as engine:
            self.assertRaises(exception.NotFound, engine.inspect, 'any')

    def test_registry_sees_no_credentials_of_the_operator(self):
        fake = self.useFixture(engine_heat.FakeEngine())
        given = []
        pull = docker.APIClient.pull

        def record(api, image, **arguments):
            given.append(arguments['auth_config'])
            return pull(api, image, **arguments)
        self.patch(docker.APIClient, 'pull', record)
        with self.engine(fake.url) as engine:
            self.assertRaises(exception.EngineError, list,
                              engine.pull('registry.example.org/a:1'))
        self.assertEqual([{}], given)
