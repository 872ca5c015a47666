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

"""How heat-engine finds the resource type."""

import os
import subprocess
import sys

from heat.common import exception as heat_exception
from heat.engine import resources
from oslo_service import backend
import testtools

import heat_docker
from heat_docker import client
from heat_docker import conf
from heat_docker.plugins import docker_container
from heat_docker import resource
from tests.heat.unit import containers

_ROOT = os.path.join(os.path.dirname(__file__), '..', '..', '..')
_TYPE = 'DockerInc::Docker::Container'


class PluginTest(testtools.TestCase):

    def test_mapping(self):
        self.assertEqual({_TYPE: resource.DockerContainer},
                         docker_container.available_resource_mapping())

    def test_module_names_its_directory(self):
        answer = subprocess.run(
            [sys.executable, '-m', 'heat_docker'], capture_output=True,
            check=True, text=True,
            cwd=os.path.dirname(os.path.dirname(heat_docker.__file__)))
        self.assertEqual(
            os.path.realpath(os.path.dirname(docker_container.__file__)),
            os.path.realpath(answer.stdout.strip()))

    def test_plugin_directory_holds_nothing_else(self):
        found = os.listdir(os.path.dirname(docker_container.__file__))
        self.assertEqual(['docker_container.py'], [
            name for name in found if name.endswith('.py')])

    def test_without_its_package_heat_starts(self):
        # As when the file is in a plugin directory of another environment.
        saved = sys.modules['heat_docker.resource']
        sys.modules['heat_docker.resource'] = None
        attribute = heat_docker.__dict__.pop('resource')
        self.addCleanup(setattr, heat_docker, 'resource', attribute)
        self.addCleanup(sys.modules.__setitem__, 'heat_docker.resource',
                        saved)
        self.assertEqual({}, docker_container.available_resource_mapping())

    def test_options_are_offered_to_the_generator(self):
        (group, found), = conf.list_opts()
        self.assertEqual('docker_resource', group.name)
        for option in found:
            self.assertGreater(len(option.help), 60, option.name)
            self.assertIn('Possible values:', option.help, option.name)


class LoadedTest(containers.TestCase):

    def test_heat_has_it_from_plugin_dirs(self):
        registry = resources.global_env().registry
        self.assertIs(resource.DockerContainer, registry.get_class(_TYPE))

    def test_heat_runs_threads(self):
        self.assertEqual('_threading', type(
            backend.get_backend()).__module__.rpartition('.')[2])

    def test_without_the_sdk_the_type_says_why(self):
        self.patch(client, '_missing', "No module named 'docker'")
        self.assertEqual({_TYPE: resource.DockerContainer},
                         docker_container.available_resource_mapping())
        stack = self.stacks.parse(containers.template(web={}))
        error = self.assertRaises(heat_exception.ResourceTypeUnavailable,
                                  stack.validate)
        self.assertIn('Docker SDK for Python is not installed', str(error))

    def test_sdk_that_went_away(self):
        stack, _web = self.create()
        self.patch(client, '_missing', "No module named 'docker'")
        stack.delete()
        self.assertState('DELETE_FAILED', stack)
        self.assertIn('is not installed', stack.status_reason)


class ImportTest(testtools.TestCase):
    """Without the SDK, in a process of its own."""

    def test_everything_can_be_imported(self):
        program = (
            'import sys; sys.modules["docker"] = None\n'
            'import tests.heat\n'
            'from heat_docker.plugins import docker_container\n'
            'from heat_docker import client\n'
            'docker_container.available_resource_mapping()\n'
            'print(client.missing())\n')
        answer = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program], text=True,
            capture_output=True, cwd=_ROOT)
        self.assertEqual(0, answer.returncode, answer.stderr)
        self.assertIn('Docker SDK for Python is not installed',
                      answer.stdout)
