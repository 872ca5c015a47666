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

"""What the unit tests have in common."""

from nova import test

import novadocker.conf  # noqa: F401 registers the [docker] options


class TestCase(test.NoDBTestCase):
    """A test that needs no database, no root, no engine and no network.

    Options changed with ``self.flags(...)`` are reset afterwards.
    """

    def setUp(self):
        super().setUp()
        # A client that was not replaced fails; it never finds the engine of
        # the machine that runs the tests.
        self.flags(host_url='unix:///nonexistent/docker.sock',
                   group='docker')
