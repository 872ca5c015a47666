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


"""Service users, endpoints and the demo project, made in Keystone.

Runs in the cloud's virtualenv: python -m quickstart.catalogue DIRECTORY
"""

import pathlib
import sys

import openstack

from quickstart import heat
from quickstart import names
from quickstart import settings as settings_

_ENDPOINTS = (
    ('glance', 'image', 'glance', ''),
    ('placement', 'placement', 'placement', ''),
    ('neutron', 'network', 'neutron', ''),
    ('nova', 'compute', 'nova', '/v2.1'),
)


def connect(settings, cloud='quickstart-admin'):
    """A connection that reads nothing but this cloud's clouds.yaml."""
    config = openstack.config.OpenStackConfig(
        config_files=[str(settings.clouds)], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(cloud))


def fill(settings) -> None:
    """Create what is missing in Keystone's catalogue."""
    cloud = connect(settings)
    service_project = _project(cloud, 'service')
    for name in settings_.SERVICE_USERS:
        _user(cloud, name, settings.secrets()[name], service_project,
              ('admin', 'service'))
    demo = _project(cloud, names.DEMO)
    _user(cloud, names.DEMO, settings.secrets()[names.DEMO], demo, ('member',))
    _endpoints(cloud, settings)
    if heat.wanted(settings):
        heat.register(settings, cloud)


def _project(cloud, name):
    return (cloud.identity.find_project(name) or
            cloud.identity.create_project(name=name, domain_id='default'))


def _user(cloud, name, password, project, roles) -> None:
    user = (cloud.identity.find_user(name) or cloud.identity.create_user(
        name=name, password=password, domain_id='default',
        default_project_id=project.id))
    for role in roles:
        found = (cloud.identity.find_role(role) or
                 cloud.identity.create_role(name=role))
        cloud.identity.assign_project_role_to_user(project, user, found)


def _endpoints(cloud, settings) -> None:
    have = {each.service_id for each in cloud.identity.endpoints()}
    for port, kind, name, path in _ENDPOINTS:
        service = (cloud.identity.find_service(name) or
                   cloud.identity.create_service(name=name, type=kind))
        if service.id in have:
            continue
        for interface in ('public', 'internal', 'admin'):
            cloud.identity.create_endpoint(
                service_id=service.id, interface=interface,
                url=settings.url(port) + path, region_id=settings_.REGION)


if __name__ == '__main__':
    fill(settings_.Settings(pathlib.Path(sys.argv[1])))
