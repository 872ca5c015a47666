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


"""What a user of a cloud with Heat does with stacks."""

import subprocess
import urllib.request

from quickstart import engine
from quickstart import settings as settings_
from quickstart import stack as stack_
from story import world

# Heat's own examples: a server of Nova's, and containers without Nova.
_SERVER = 'story-server'
_NATIVE = 'story-native'
_NATIVE_LABEL = 'org.openstack.heat.stack_name=' + _NATIVE


def add_heat(here):
    """"up --with-heat" adds Heat to a cloud that runs."""
    world.run_quickstart(here.settings, 'up', '--dev', '--with-heat')


def stack_with_server(here):
    """A stack's server answers ping and ran its user data."""
    found = _create(here, _SERVER, stack_.create_server(here.demo, _SERVER))
    world.wait_for(lambda: not subprocess.run(
        ('ping', '-c', '1', '-W', '2', found['floating_address']),
        capture_output=True).returncode, 'answer to ping', 60)
    world.wait_for(lambda: 'hello from user data' in _console(
        here, found['server']), 'output of the user data', 60)


def stack_with_native_containers(here):
    """A stack's native containers serve a page together."""
    found = _create(here, _NATIVE, stack_.create(
        here.demo, _NATIVE, 'web-and-database.yaml',
        image=settings_.IMAGE_TAG, web_port=world.free_port()))
    assert found['database_log'] == 'database: ready', found
    with urllib.request.urlopen(found['page'], timeout=10) as page:
        assert page.read() == b'The answer is 42.\n'
    assert len(_native_containers(here)) == 2


def delete_stacks(here):
    """Deleted stacks leave neither server nor container."""
    for name in list(here.stacks):
        stack_.delete(here.demo, here.stacks.pop(name))
    assert not _native_containers(here)


def _create(here, name, stack) -> dict:
    here.stacks[name] = stack
    stack = stack_.settled(here.demo, stack)
    assert stack.status == 'CREATE_COMPLETE', stack.status_reason
    return stack_.outputs(stack)


def _console(here, server_id) -> str:
    return here.demo.compute.get_server_console_output(server_id)['output']


def _native_containers(here) -> list[str]:
    return engine.containers_with(here.settings, _NATIVE_LABEL)


ALL = (stack_with_server, stack_with_native_containers, delete_stacks)
