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

"""What the engine can grant to a process but does not tell: found by trying.

An engine that runs in a container, or under a limit of its own, cannot raise
that limit for its containers, and the runtime fails at the start.
"""

from oslo_log import log as logging

from novadocker.virt.docker.engine import client as engine_client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import policy
from novadocker.virt.docker import names

LOG = logging.getLogger(__name__)

# The engine's own default, what databases ask for, and what any engine that
# runs containers at all can grant. The last one is taken without a trial.
NOFILE_LIMITS = (1048576, 524288, 65536, 16384)

_PROBE_MEMORY_BYTES = 64 * 1024 * 1024


def grantable_nofile(client: engine_client.DockerClient, image: str,
                     host: str) -> int:
    """The largest hard limit of open files that a container can have.

    :param image: of a process that does nothing but wait
    :raises: EngineUnavailable
    """
    name = names.probe(host)
    _remove(client, name)
    for limit in NOFILE_LIMITS[:-1]:
        try:
            if _starts(client, name, image, limit):
                return limit
        finally:
            _remove(client, name)
    return NOFILE_LIMITS[-1]


def _starts(client: engine_client.DockerClient, name: str, image: str,
            limit: int) -> bool:
    try:
        policy.start(client, client.create(model.ContainerSpec(
            name=name, image=image, network_mode='none', read_only=True,
            labels={names.LABEL_ROLE: names.ROLE_PROBE},
            memory_bytes=_PROBE_MEMORY_BYTES,
            ulimits={'nofile': (limit, limit)})))
    except exception.EngineUnavailable:
        raise
    except exception.EngineError as err:
        LOG.info('The engine cannot grant %d open files: %s', limit, err)
        return False
    return True


def _remove(client: engine_client.DockerClient, name: str) -> None:
    """Remove the probe, also one that a killed process left."""
    found = client.find_container(name)
    if found is not None and found.labels.get(
            names.LABEL_ROLE) == names.ROLE_PROBE:
        client.remove(found.id)
