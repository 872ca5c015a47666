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

"""Archives of honest images, as each container tool writes them.

``CASES`` holds them by name. They are written here, byte by byte, after the
source of the tool that each names; where the tool is at hand, functional
tests hold its own archives beside them.
"""

from tests.honest import builders
from tests.honest import containers
from tests.honest import contents
from tests.honest import corpus
from tests.honest import docker
from tests.honest import registry

# Importing a module registers its cases.
MODULES = (builders, containers, contents, docker, registry)
CASES = corpus.CASES
