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


"""Install, configure and run Tempest against the cloud."""

import json
import re
import string
import subprocess

from quickstart import features
from quickstart import image
from quickstart import names
from quickstart import packages
from quickstart import problem
from quickstart import settings as settings_
from quickstart import shell

_CONCURRENCY = 2
_SKIPPED = re.compile(r'^\{\d+\} (.*?) (?:\[.*\] )?\.\.\. SKIPPED: (.*)$')


def run(settings, regex) -> int:
    """Run the tests that match; Tempest's own exit code."""
    if not settings.openrc.exists():
        raise problem.Problem('there is no cloud in %s' % settings.directory,
                              remedy='Run "up" first.')
    packages.install_tempest(settings)
    _configure(settings)
    skipped = {}
    code = _run(settings, regex, skipped)
    _explain(skipped)
    return code


def _openstack(settings, *words):
    return json.loads(shell.output(settings, (
        settings.tool('openstack'), *words, '--format', 'json'), {
            'OS_CLIENT_CONFIG_FILE': str(settings.clouds),
            'OS_CLOUD': 'quickstart-admin'}))


def _configure(settings) -> None:
    """Write tempest.conf, in a workspace that the home directory is not."""
    workspace = settings.tempest
    if not workspace.exists():
        shell.run(settings, (
            settings.tempest_venv / 'bin/tempest', 'init',
            '--workspace-path', settings.state / 'tempest-workspaces.yaml',
            workspace), 'tempest')
    path = workspace / 'etc' / 'tempest.conf'
    path.touch(mode=0o600)
    path.write_text(_configuration(settings))


def _configuration(settings) -> str:
    template = (settings_.TEMPLATES / 'tempest.conf').read_text()
    lines = ['%s = %s' % (name, str(value is True).lower())
             for name, value in features.COMPUTE.items()]
    network = _openstack(settings, 'network', 'show', names.PUBLIC)
    values = dict(
        settings.values(), tempest=str(settings.tempest),
        image=_image(settings, names.IMAGE),
        image_alt=_image(settings, names.IMAGE_ALT),
        flavor=_flavor(settings, names.FLAVORS[0][0]),
        flavor_alt=_flavor(settings, names.FLAVORS[1][0]),
        public=names.PUBLIC, public_id=network['id'],
        run_validation=str(features.RUN_VALIDATION).lower(),
        features='\n'.join(lines))
    return string.Template(template).substitute(values)


def _image(settings, name) -> str:
    """Id of an image, which is uploaded first if it is not there."""
    found = _openstack(settings, 'image', 'list', '--name', name)
    if not found:
        image.upload(settings, name)
        found = _openstack(settings, 'image', 'list', '--name', name)
    return found[0]['ID']


def _flavor(settings, name) -> str:
    return _openstack(settings, 'flavor', 'show', name)['id']


def _run(settings, regex, skipped) -> int:
    """Run Tempest, pass its output on and note what it skipped."""
    tests = subprocess.Popen(
        (str(settings.tempest_venv / 'bin/tempest'), 'run', '--regex', regex,
         '--concurrency', str(_CONCURRENCY)),
        cwd=settings.tempest, stdout=subprocess.PIPE, text=True,
        env=shell.environment(settings, {
            'PATH': '%s/bin:/usr/sbin:/usr/bin:/sbin:/bin' %
                    settings.tempest_venv}))
    for line in tests.stdout:
        print(line, end='', flush=True)
        match = _SKIPPED.match(line)
        if match:
            skipped[match[1]] = match[2]
    return tests.wait()


def _explain(skipped) -> None:
    print('\nSkipped, and why (%d):' % len(skipped))
    for test, reason in sorted(skipped.items()):
        print('  %s\n      %s' % (test.split('[')[0], reason))
    print('\nWhat tempest.conf says the driver does not support:')
    for feature, reason in features.refused().items():
        print('  %-36s %s' % (feature, reason))
    if not features.RUN_VALIDATION:
        print('  %-36s %s' % (
            'validation.run_validation', 'a container shows the processors '
            'and the uptime of its host'))
