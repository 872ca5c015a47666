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


"""Privsep daemons for a test process that is root already."""

import os
import sys

import fixtures
from oslo_privsep import daemon
from oslo_privsep import priv_context

# Nova's base class replaces it by one that refuses to start anything.
_CHANNEL = daemon.RootwrapClientChannel
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


class Privilege(fixtures.Fixture):
    """Start the daemons of all contexts without sudo.

    To be used after Nova's own ``setUp``. The daemons outlive the test, as
    they take a second to start. They find ``privsep-helper`` beside this
    interpreter, and the modules of this source tree whether it is installed
    or not.
    """

    def _setUp(self):
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_privsep.daemon.RootwrapClientChannel', _CHANNEL))
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_privsep.priv_context._HELPER_COMMAND_PREFIX',
            priv_context._HELPER_COMMAND_PREFIX))
        programs = os.path.dirname(sys.executable)
        priv_context.init(root_helper=[
            'env', 'PYTHONPATH=%s' % _REPOSITORY,
            'PATH=%s:%s' % (programs, os.environ['PATH'])])
