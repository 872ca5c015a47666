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

"""Tests; importing this package chooses how Nova runs threads.

That has to happen before anything else of Nova is imported. Native threads
are the default, as in nova-compute; eventlet serves when
``OS_NOVA_DISABLE_EVENTLET_PATCHING`` is ``false``.
"""

import os

# Nova's own test packages patch once more, and with eventlet unless told.
os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', '1')

from nova import monkey_patch  # noqa: E402

monkey_patch.patch(backend='threading')
