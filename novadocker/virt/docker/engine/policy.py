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

"""What is made of an engine's ways, above the plain verbs.

Each function is a rule of ours with its reason; a verb of the client is one
plain request.
"""

from novadocker.virt.docker.engine import client as engine_client
from novadocker.virt.docker.engine import exception

_LOG_TAIL_LINES = 1000


def start(client: engine_client.DockerClient, container: str) -> None:
    """Start, and try once more if the engine itself fails.

    Now and then runc loses the process between making and starting it
    ("cannot start a stopped process"); the container stays as it was, and
    the next attempt succeeds. What the engine refuses for a reason (no such
    container, a bad specification, a conflict) is not asked for twice, nor
    is an engine that was lost.
    """
    try:
        client.start(container)
    except exception.EngineError as err:
        # An exact type: each of the tree's others tells a reason.
        if type(err) is not exception.EngineError:
            raise
        client.start(container)


def log_end(client: engine_client.DockerClient, container: str,
            max_bytes: int) -> bytes:
    """The end of a log of any size, without reading it all.

    The engine finds the last lines fast, but counts lines only. A thousand
    are asked for first, as they are enough for nearly every log; where they
    were short, as many as there can be in that many bytes.
    """
    tail = client.logs(container, max_bytes, _LOG_TAIL_LINES)
    if len(tail) < max_bytes and tail.count(b'\n') >= _LOG_TAIL_LINES:
        tail = client.logs(container, max_bytes, max_bytes)
    return tail
