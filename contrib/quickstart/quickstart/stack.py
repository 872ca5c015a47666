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


"""The first stack: a server on the driver, with port and floating address.

Runs in the cloud's virtualenv: python -m quickstart.stack DIRECTORY
"""

import pathlib
import sys
import time

from quickstart import catalogue
from quickstart import heat
from quickstart import names
from quickstart import seed
from quickstart import settings as settings_

_PATIENCE_S = 300


def ensure(settings) -> str:
    """The floating address of the first stack's server, which runs.

    :raises: RuntimeError with the reason that Heat gives, or Nova.
    """
    demo = catalogue.connect(settings, 'quickstart')
    stack = _existing(demo) or create_server(demo, names.STACK)
    stack = settled(demo, stack)
    if stack.status.endswith('_FAILED'):
        raise RuntimeError('%s: %s' % (stack.status, stack.status_reason))
    found = outputs(stack)
    seed.wait_until_active(demo, seed.revive(demo, found['server']))
    return found['floating_address']


def create_server(demo, name):
    """A new stack of examples/server.yaml, in what the seed has made."""
    return create(demo, name, 'server.yaml', image=names.IMAGE,
                  flavor=names.FLAVOR, network=names.NETWORK,
                  public_network=names.PUBLIC)


def create(demo, name, example, **parameters):
    """A new stack of one of the examples; Heat is still busy with it."""
    source = demo.orchestration.read_env_and_templates(
        template_file=str(heat.EXAMPLES / example))
    stack = demo.orchestration.create_stack(
        name=name, parameters=parameters, is_rollback_disabled=True, **source)
    return demo.orchestration.get_stack(stack.id)


def settled(demo, stack):
    """The stack, once Heat does nothing to it any more.

    :raises: TimeoutError when that lasts too long.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while stack.status.endswith('_IN_PROGRESS'):
        if time.monotonic() > deadline:
            raise TimeoutError('stack %s is still %s' % (
                stack.name, stack.status))
        time.sleep(0.5)
        stack = demo.orchestration.get_stack(stack.id)
    return stack


def outputs(stack) -> dict:
    return {each['output_key']: each['output_value']
            for each in stack.outputs}


def delete(demo, stack) -> None:
    """:raises: SDKException when it does not go away in time."""
    demo.orchestration.delete_stack(stack)
    demo.orchestration.wait_for_delete(stack, interval=0.5,
                                       wait=_PATIENCE_S)


def _existing(demo):
    """The first stack; one that failed or lost its server is deleted."""
    stack = demo.orchestration.find_stack(names.STACK)
    if stack is None or _is_usable(demo, stack):
        return stack
    delete(demo, stack)
    return None


def _is_usable(demo, stack) -> bool:
    if stack.status.startswith('DELETE_'):
        return False
    stack = settled(demo, stack)
    if stack.status.endswith('_FAILED'):
        return False
    server = demo.compute.find_server(outputs(stack)['server'])
    return server is not None and server.status != 'ERROR'


if __name__ == '__main__':
    print(ensure(settings_.Settings(pathlib.Path(sys.argv[1]))))
