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

"""What heat-engine finds in ``plugin_dirs``; all else is in heat_docker.

Heat imports every module of a plugin directory, so this one is alone in its
own. An ImportError in it would stop heat-engine.
"""

import logging

LOG = logging.getLogger(__name__)


def available_resource_mapping() -> dict[str, type]:
    """Called by heat-engine when it starts."""
    try:
        from heat_docker import client
        from heat_docker import resource
    except ImportError as err:
        LOG.warning('DockerInc::Docker::Container is missing: %s', err)
        return {}
    if client.missing():
        LOG.warning('DockerInc::Docker::Container is unavailable: %s',
                    client.missing())
    return {'DockerInc::Docker::Container': resource.DockerContainer}
