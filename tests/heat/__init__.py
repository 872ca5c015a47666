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

"""Tests of contrib/heat_docker.

Apart from the others: Heat and Nova define options of the same names, so no
process can hold both. ``stestr --test-path ./tests/heat run`` runs them.
"""

import os
import sys

from oslo_service import backend

# Before anything of Heat is imported, as heat-engine itself does.
backend.init_backend(backend.BackendType.THREADING)

sys.path.insert(0, os.path.join(
    os.path.dirname(__file__), '..', '..', 'contrib', 'heat_docker'))
