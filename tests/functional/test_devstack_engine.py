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

"""The DevStack plugin's work on a real engine: its image, its clean-up.

Everything else of the plugin is tested by ``tests/devstack/run``.
"""

import os
import pathlib
import subprocess
import uuid

import fixtures
import testtools

from novadocker import archive
from novadocker.virt.docker import names
from tests.data import archives
from tests.functional import engine

REPOSITORY = pathlib.Path(__file__).parents[2]
LIBRARY = REPOSITORY / 'devstack' / 'lib' / 'nova-docker'

# The plugin's functions, as root and with the packages in place.
PRELUDE = """
set -o errexit -o pipefail
sudo() { "$@"; }
die() { echo "$*" >&2; exit 1; }
is_ubuntu() { true; }
install_package() { true; }
iniget() { echo "$HOST"; }
NOVA_DOCKER_STATE_DIR=$STATE
DOCKER_SOCKET=${DOCKER_HOST#unix://}
. "$LIBRARY"
"""


def docker(*arguments) -> str:
    """Output of the engine's own client."""
    return subprocess.run(
        ['docker', '--host', engine.URL, *arguments], check=True,
        stdout=subprocess.PIPE, text=True).stdout.strip()


class PluginTestCase(testtools.TestCase):

    def setUp(self):
        engine.skip_without_engine()
        super().setUp()
        self.state = self.useFixture(fixtures.TempDir()).path
        self.host = 'devstack-%s' % uuid.uuid4().hex

    def plugin(self, command):
        """Run one function of the plugin."""
        subprocess.run(
            ['bash', '-c', PRELUDE + command], check=True,
            env={**os.environ, 'DOCKER_HOST': engine.URL, 'HOST': self.host,
                 'STATE': self.state, 'LIBRARY': str(LIBRARY)})


class ImageTest(PluginTestCase):

    def setUp(self):
        super().setUp()
        self.path = '%s/busybox.tar' % self.state
        self.plugin('nova_docker_build_image %s' % self.path)

    def test_image_leaves_nothing_in_the_engine(self):
        self.assertEqual('', docker('images', '-q', 'nova-docker-devstack'))

    def test_image_passes_the_drivers_checks(self):
        with open(self.path, 'rb') as stream:
            written = b''.join(archive.sanitise(
                iter(lambda: stream.read(65536), b''), 'novadocker/a:b',
                archive.Limits(), archive.Rules()))
        config = archives.config_of(written)
        self.assertEqual('linux', config['os'])
        self.assertEqual(1, len(config['rootfs']['diff_ids']))

    def test_image_runs(self):
        docker('load', '-i', self.path)
        self.addCleanup(docker, 'rmi', 'nova-docker-devstack')
        said = docker('run', '--rm', '--network', 'none',
                      '--read-only', 'nova-docker-devstack',
                      'sh', '-c', 'whoami && stat -c %a:%U /tmp /etc/shadow')
        self.assertEqual('root\n1777:root\n600:root', said)


class CleanUpTest(PluginTestCase):

    def setUp(self):
        super().setUp()
        self.image = self.useFixture(engine.RealEngine()).image
        self.server = {names.LABEL_UUID: str(uuid.uuid4()),
                       names.LABEL_HOST: self.host}

    def container(self, labels, image=None):
        """A created container's id."""
        options = ['--label=%s=%s' % item for item in labels.items()]
        made = docker('create', *options, image or self.image)
        self.addCleanup(subprocess.run, ['docker', 'rm', '-f', made],
                        capture_output=True)
        return made

    def exist(self, *containers):
        known = docker('ps', '-aq', '--no-trunc').split()
        return [container in known for container in containers]

    def test_servers_of_this_host_go(self):
        ours = self.container(self.server)
        elsewhere = self.container({**self.server,
                                    names.LABEL_HOST: 'other'})
        foreign = self.container({names.LABEL_HOST: self.host})
        self.plugin('cleanup_nova_docker_servers')
        self.assertEqual([False, True, True],
                         self.exist(ours, elsewhere, foreign))

    def tag(self):
        """A further name of the image, as the driver names Glance's."""
        tag = names.image_tag(str(uuid.uuid4()), None)
        docker('tag', self.image, tag)
        self.addCleanup(subprocess.run, ['docker', 'rmi', tag],
                        capture_output=True)
        return tag

    def identity(self, image):
        return docker('image', 'inspect', '--format', '{{.Id}}', image)

    def test_images_of_the_driver_go(self):
        # Which creates workloads by the image's id.
        tag = self.tag()
        self.container(self.server, self.identity(tag))
        self.plugin('cleanup_nova_docker_servers')
        self.assertEqual('', docker('images', '-q', tag))
        self.assertNotEqual('', docker('images', '-q', self.image))

    def test_images_of_a_server_that_runs_from_a_copy_go(self):
        tag = self.tag()
        copy = docker('commit', self.container(self.server))
        self.addCleanup(subprocess.run, ['docker', 'rmi', copy],
                        capture_output=True)
        self.container({**self.server, names.LABEL_IMAGE:
                        names.image_id_of_tag(tag)}, copy)
        self.plugin('cleanup_nova_docker_servers')
        self.assertEqual('', docker('images', '-q', tag))
        self.assertNotIn(copy, docker('images', '-aq', '--no-trunc'))
        self.assertNotEqual('', docker('images', '-q', self.image))
