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

"""The options: what their help says, old files, the generated sample."""

import io
import pathlib
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_config import generator
import testtools

from novadocker import conf

ROOT = pathlib.Path(__file__).parents[2]

# A nova.conf as the guides of 2014 to 2016 had it.
OLD_NOVA_CONF = """
[docker]
root_directory = /var/lib/docker
host_url = tcp://10.0.0.5:2376
api_insecure = true
ca_file = /etc/docker/ca.pem
cert_file = /etc/docker/cert.pem
key_file = /etc/docker/key.pem
vif_driver = novadocker.virt.docker.vifs.DockerGenericVIFDriver
snapshots_directory = /var/tmp/snapshots
inject_key = true
shared_directory = /srv/images
privileged = true
"""

# What a help text says where a plain number needs a unit.
UNITS = ('second', 'MiB', 'processes', 'files')


def living_options():
    return [opt for opt in conf.ALL_OPTS if not opt.deprecated_for_removal]


class HelpTest(testtools.TestCase):

    def test_every_option_explains_itself(self):
        for opt in conf.ALL_OPTS:
            self.assertGreater(len(opt.help.strip()), 60, opt.name)

    def test_every_living_option_lists_its_values(self):
        for opt in living_options():
            self.assertIn('Possible values:\n\n* ', opt.help, opt.name)

    def test_every_number_has_a_unit(self):
        numbers = [opt for opt in living_options()
                   if isinstance(opt, cfg.IntOpt | cfg.FloatOpt)]
        self.assertNotEqual([], numbers)
        for opt in numbers:
            self.assertTrue(any(unit in opt.help for unit in UNITS),
                            opt.name)

    def test_every_number_has_its_bounds(self):
        for opt in living_options():
            if isinstance(opt, cfg.IntOpt | cfg.FloatOpt):
                self.assertIsNotNone(opt.type.min, opt.name)

    def test_removed_options_say_since_when_and_why(self):
        for opt in conf.deprecated_opts:
            self.assertTrue(opt.deprecated_since, opt.name)
            self.assertTrue(opt.deprecated_reason, opt.name)

    def test_related_options_exist(self):
        names = {opt.name for opt in conf.ALL_OPTS}
        for opt in living_options():
            _, _, related = opt.help.partition('Related options:')
            for name in related.split('``')[1::2]:
                self.assertIn(name, names, f'in the help of {opt.name}')


class OldFileTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        conf.register_opts(self.conf)

    def _read(self, text):
        directory = self.useFixture(fixtures.TempDir()).path
        path = pathlib.Path(directory, 'nova.conf')
        path.write_text(text)
        self.conf(['--config-file', str(path)])
        return self.conf.docker

    def test_every_old_option_is_read(self):
        docker = self._read(OLD_NOVA_CONF)
        self.assertEqual('tcp://10.0.0.5:2376', docker.host_url)
        self.assertTrue(docker.api_insecure)
        self.assertEqual('/etc/docker/ca.pem', docker.ca_file)
        self.assertEqual('/etc/docker/cert.pem', docker.cert_file)
        self.assertEqual('/etc/docker/key.pem', docker.key_file)
        self.assertEqual('/srv/images', docker.shared_directory)
        self.assertTrue(docker.privileged)
        self.assertTrue(docker.inject_key)
        self.assertEqual('/var/lib/docker', docker.root_directory)
        self.assertEqual('/var/tmp/snapshots', docker.snapshots_directory)
        self.assertIn('GenericVIFDriver', docker.vif_driver)

    def test_defaults_are_safe(self):
        docker = self._read('')
        self.assertFalse(docker.api_insecure)
        self.assertFalse(docker.privileged)
        self.assertTrue(docker.host_url.startswith('unix://'))

    def test_registering_twice_is_harmless(self):
        conf.register_opts(self.conf)
        conf.register_opts(self.conf)


class SampleTest(testtools.TestCase):

    def test_sample_is_up_to_date(self):
        """``tox -e genconfig`` writes it."""
        self.assertEqual(
            (ROOT / 'etc/nova/novadocker.conf.sample').read_text(),
            self._generate())

    def _generate(self):
        options = cfg.ConfigOpts()
        generator.register_cli_opts(options)
        options(['--config-file', str(ROOT / 'tools/config-generator.conf')])
        output = io.StringIO()
        # Also where the package and its entry points are not installed.
        with mock.patch.object(
                generator, '_list_opts',
                return_value=[('novadocker.conf', conf.list_opts())]):
            generator.generate(options, output_file=output)
        return output.getvalue()
