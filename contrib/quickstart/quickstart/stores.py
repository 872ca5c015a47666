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


"""A private MariaDB and a private RabbitMQ."""

import os
import shutil

from quickstart import services
from quickstart import settings as settings_
from quickstart import shell


def ensure_database(settings) -> str:
    """Make, start and open the database server."""
    data = settings.state / 'mariadb'
    socket = settings.database_socket.parent
    socket.mkdir(parents=True, exist_ok=True)
    shutil.chown(socket, 'mysql', 'mysql')
    made = not (data / 'mysql').is_dir()
    if made:
        _initialise(settings, data)
    service = services.database(settings)
    started = services.start(settings, [service])
    services.wait(settings, [service])
    if made:
        _create(settings)
    return 'new' if made else 'started' if started else 'runs'


def _initialise(settings, data) -> None:
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    shutil.chown(data, 'mysql', 'mysql')
    shell.run(settings, (
        'mariadb-install-db', '--no-defaults', '--user=mysql',
        '--skip-test-db', '--auth-root-authentication-method=socket',
        '--datadir=%s' % data), 'mariadb')


def _create(settings) -> None:
    password = settings.secrets()['database']
    statements = ["CREATE USER quickstart@localhost IDENTIFIED BY '%s'" %
                  password]
    for name in settings_.DATABASES:
        statements.append('CREATE DATABASE %s CHARACTER SET utf8mb4' % name)
        statements.append('GRANT ALL ON %s.* TO quickstart@localhost' % name)
    shell.run(settings, (
        'mariadb', '--no-defaults', '--user=root',
        '--socket=%s' % settings.database_socket,
        '--execute=' + '; '.join(statements)), 'mariadb')


def glance_images(settings) -> list[str]:
    """Ids of all images that Glance has or had; [] if it cannot be asked."""
    return _column(settings, 'SELECT id FROM glance.images')


def projects(settings) -> list[str]:
    """Ids of all projects of Keystone; [] if it cannot be asked."""
    return _column(settings, 'SELECT id FROM keystone.project')


def _column(settings, statement) -> list[str]:
    return shell.output(settings, (
        'mariadb', '--no-defaults', '--user=root', '--batch',
        '--skip-column-names', '--socket=%s' % settings.database_socket,
        '--execute=' + statement), check=False).split()


def start_broker(settings) -> str:
    """Start RabbitMQ; it takes seconds, which nobody waits for here."""
    state = settings.state / 'rabbitmq'
    state.mkdir(parents=True, exist_ok=True)
    cookie = state / '.erlang.cookie'
    if not cookie.exists():
        cookie.touch(mode=0o400)
        cookie.write_text(settings.secrets()['erlang'])
    mapper = services.port_mapper(settings)
    services.start(settings, [mapper])
    services.wait(settings, [mapper])
    started = services.start(settings, [services.broker(settings)])
    return 'starting' if started else 'runs'


def make_directories(settings) -> None:
    """Directories that services expect, closed to other users."""
    os.umask(0o022)
    for name in ('home', 'keystone', 'glance/images', 'glance/staging',
                 'glance/tasks', 'neutron', 'nova/instances'):
        (settings.state / name).mkdir(parents=True, exist_ok=True)
    for name in ('lock/neutron', 'lock/nova'):
        (settings.run / name).mkdir(parents=True, exist_ok=True)
    for name in ('keystone', 'glance', 'nova'):
        (settings.state / name).chmod(0o700)
