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

"""Heat, for ``up --with-heat``: packages, configuration, database, services.

Installed beside the rest of the cloud, into the same virtualenv; the pins
are those of constraints.txt and of heat/constraints.txt. Nothing of it is
done unless it is asked for, once: a cloud that has Heat keeps it.
"""

import json
import secrets
import string

from quickstart import processes
from quickstart import services
from quickstart import settings as settings_

_FILES = settings_.QUICKSTART / 'heat'
CONSTRAINTS = _FILES / 'constraints.txt'
PLUGIN = settings_.CHECKOUT / 'contrib/heat_docker'
REQUIREMENTS = ('openstack-heat', 'python-heatclient', str(PLUGIN))
EXAMPLES = PLUGIN / 'examples'
# Of each container that a stack makes, beside the cloud's servers.
PROJECT_LABEL = 'org.openstack.heat.project_id'


def wanted(settings) -> bool:
    """Whether this cloud has Heat, or is about to get it."""
    return settings.with_heat or _conf(settings).exists()


def own_secrets(settings) -> dict[str, str]:
    """Password of the service user and key of what Heat encrypts.

    Kept apart from the others: a cloud may get Heat after its first "up".
    """
    path = settings.etc / 'heat' / 'secrets.json'
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({
            'password_heat': secrets.token_hex(16),
            'key_heat': secrets.token_hex(16)}))
    return json.loads(path.read_text())


def configure(settings) -> bool:
    """Write heat.conf; whether it had another content."""
    (settings.state / 'heat').mkdir(parents=True, exist_ok=True)
    template = string.Template((_FILES / 'heat.conf').read_text())
    text = template.substitute(
        settings.values(), database_heat=settings.database_url('heat'),
        **own_secrets(settings))
    path = _conf(settings)
    if path.exists() and path.read_text() == text:
        return False
    path.touch(mode=0o600)
    path.write_text(text)
    return True


def schema(settings) -> list[list]:
    """Commands that make the database and bring it up to date.

    The other databases are there from the start; this one may come later.
    """
    return [
        ['mariadb', '--no-defaults', '--user=root',
         '--socket=%s' % settings.database_socket,
         '--execute=CREATE DATABASE IF NOT EXISTS heat '
         'CHARACTER SET utf8mb4; '
         'GRANT ALL ON heat.* TO quickstart@localhost'],
        [settings.tool('heat-manage'), '--config-file', _conf(settings),
         'db_sync'],
    ]


def all_services(settings) -> list[services.Service]:
    """heat-api under uwsgi and heat-engine, if the cloud has them."""
    if not wanted(settings):
        return []
    return [
        services.Service(processes.Process('heat-api', _api(settings)),
                         'heat', port='heat',
                         ready=services.http_answers('heat')),
        services.Service(processes.Process('heat-engine', (
            settings.tool('heat-engine'), '--config-file',
            _conf(settings))), 'heat'),
    ]


def register(settings, cloud) -> None:
    """Create what is missing in Keystone.

    :param cloud: an administrator's openstack.connection.Connection
    """
    identity = cloud.identity
    project = identity.find_project('service')
    user = identity.find_user('heat') or identity.create_user(
        name='heat', password=own_secrets(settings)['password_heat'],
        domain_id='default', default_project_id=project.id)
    for role in ('admin', 'service'):
        identity.assign_project_role_to_user(
            project, user, identity.find_role(role))
    # Heat gives this one to the users that it makes inside of stacks.
    if identity.find_role('heat_stack_user') is None:
        identity.create_role(name='heat_stack_user')
    if identity.find_service('heat') is None:
        _register_endpoints(settings, identity)


def _register_endpoints(settings, identity) -> None:
    service = identity.create_service(name='heat', type='orchestration')
    for interface in ('public', 'internal', 'admin'):
        identity.create_endpoint(
            service_id=service.id, interface=interface,
            url='%s/v1/%%(project_id)s' % settings.url('heat'),
            region_id=settings_.REGION)


def _conf(settings):
    return settings.etc / 'heat' / 'heat.conf'


def _api(settings) -> tuple:
    # heat-api knows no variable for its configuration, only arguments.
    return (
        '/usr/bin/uwsgi-core', '--plugin', 'python3',
        '--home', settings.venv, '--module', 'heat.wsgi.api:application',
        '--pyargv', '--config-file %s' % _conf(settings),
        '--http-socket', '%s:%d' % (settings_.LOOPBACK,
                                    settings_.PORTS['heat']),
        '--master', '--processes', 1, '--threads', 4,
        '--enable-threads', '--lazy-apps', '--need-app', '--die-on-term',
        '--buffer-size', 65535, '--disable-logging',
        '--add-header', 'Connection: close', '--procname', 'heat-api')
