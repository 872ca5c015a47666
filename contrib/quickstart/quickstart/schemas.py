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


"""Database schemas, keys and the first administrator."""

import base64
import concurrent.futures
import os

from quickstart import heat
from quickstart import settings as settings_
from quickstart import shell

# They keep a core busy each, and the machine has two.
_AT_ONCE = 2


def done(settings) -> bool:
    """Whether all chains came to their end, in this very database."""
    return all(_marker(settings, name).exists() for name in _chains(settings))


def ensure(settings) -> str:
    """Bring all schemas up to date, the longest first."""
    chains = _chains(settings)
    for name in ('fernet-keys', 'credential-keys'):
        _ensure_keys(settings.state / 'keystone' / name)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(_run_chain, settings, name, commands)
                for name, commands in chains.items()
                if not _marker(settings, name).exists()]
        for job in jobs:
            job.result()
    return '%d databases' % (
        len(settings_.DATABASES) + heat.wanted(settings))


def _ensure_keys(repository) -> None:
    """What keystone-manage does too, but only after seconds of imports.

    Key 0 is the next one, the highest number is the one in use.
    """
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in ('0', '1'):
        path = repository / number
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def _marker(settings, name):
    """Kept with the data that it speaks of."""
    return settings.state / 'mariadb' / ('quickstart-' + name)


def _run_chain(settings, name, commands) -> None:
    for command in commands:
        shell.run(settings, command, 'schema-' + name)
    _marker(settings, name).touch()


def _chains(settings) -> dict:
    """Commands by project, each chain in order."""
    etc, tool = settings.etc, settings.tool
    neutron = [tool('neutron-db-manage'), '--config-file',
               etc / 'neutron/neutron.conf', '--config-file',
               etc / 'neutron/ml2.ini', 'upgrade', 'heads']
    glance = [tool('glance-manage'), '--config-file',
              etc / 'glance/glance-api.conf', 'db_sync']
    placement = [tool('placement-manage'), '--config-file',
                 etc / 'placement/placement.conf', 'db', 'sync']
    chains = {'neutron': [neutron], 'nova': _nova(settings),
              'keystone': _keystone(settings), 'glance': [glance],
              'placement': [placement]}
    if heat.wanted(settings):
        chains['heat'] = heat.schema(settings)
    return chains


def _nova(settings):
    manage = [settings.tool('nova-manage'),
              '--config-file', settings.etc / 'nova/nova.conf',
              '--config-file', settings.etc / 'nova/nova-db.conf']
    cell0 = settings.database_url('nova_cell0')
    return [
        [*manage, 'api_db', 'sync'],
        [*manage, 'cell_v2', 'map_cell0', '--database_connection', cell0],
        [*manage, 'db', 'sync'],
        [*manage, 'cell_v2', 'create_cell', '--name', 'cell1'],
    ]


def _keystone(settings):
    manage = [settings.tool('keystone-manage'), '--config-file',
              settings.etc / 'keystone/keystone.conf']
    url = settings.url('keystone') + '/v3'
    return [
        [*manage, 'db_sync'],
        [*manage, 'bootstrap', '--bootstrap-password',
         settings.secrets()['admin'], '--bootstrap-public-url', url,
         '--bootstrap-internal-url', url, '--bootstrap-admin-url', url,
         '--bootstrap-region-id', settings_.REGION],
    ]
