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


"""The services of the cloud as data: command, environment, probe.

The daemons of Open vSwitch and OVN are in network.py, because they need to
be started one after the other.
"""

from collections.abc import Callable
import dataclasses
import http.client
import socket

from quickstart import problem
from quickstart import processes
from quickstart import settings as settings_
from quickstart import shell

_RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server'
# Enough for Nova to ask Neutron while Neutron tells Nova about a port.
_API_THREADS = 8
_PATIENCE_S = 120


@dataclasses.dataclass(frozen=True)
class Service:
    """A process, the configuration it reads and how to see it works.

    :param config: directory below ``etc`` whose change means a restart.
    :param port: its name in settings.PORTS.
    """

    process: processes.Process
    config: str
    port: str | None = None
    ready: Callable | None = None

    @property
    def name(self) -> str:
        return self.process.name


def database(settings) -> Service:
    directory = settings.database_socket.parent
    return Service(processes.Process('mariadb', (
        '/usr/sbin/mariadbd', '--no-defaults', '--user=mysql',
        '--skip-networking', '--max-connections=512',
        '--innodb-flush-log-at-trx-commit=2',
        '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M',
        '--datadir=%s' % (settings.state / 'mariadb'),
        '--socket=%s' % settings.database_socket,
        '--pid-file=%s' % (directory / 'mariadb.pid'))),
        'mariadb', ready=_database_answers)


def port_mapper(settings) -> Service:
    """Erlang's; RabbitMQ would start one that nobody ends."""
    return Service(processes.Process('epmd', (
        '/usr/bin/epmd', '-address', settings_.LOOPBACK, '-port',
        settings_.PORTS['epmd'])), 'rabbitmq', port='epmd',
        ready=_listening('epmd'))


def broker(settings) -> Service:
    state = settings.state / 'rabbitmq'
    env = {
        'HOME': str(state),
        'ERL_EPMD_PORT': str(settings_.PORTS['epmd']),
        'RABBITMQ_NODENAME': 'quickstart@localhost',
        'RABBITMQ_CONF_ENV_FILE': '/dev/null',
        'RABBITMQ_CONFIG_FILE': str(settings.etc / 'rabbitmq/rabbitmq.conf'),
        'RABBITMQ_ENABLED_PLUGINS_FILE':
            str(settings.etc / 'rabbitmq/enabled_plugins'),
        'RABBITMQ_MNESIA_BASE': str(state / 'mnesia'),
        'RABBITMQ_LOG_BASE': str(state / 'log'),
        'RABBITMQ_LOGS': '-',
        'RABBITMQ_DIST_PORT': str(settings_.PORTS['rabbitmq-distribution']),
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
            '-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}',
    }
    return Service(processes.Process('rabbitmq', (_RABBITMQ,), env),
                   'rabbitmq', port='rabbitmq', ready=_broker_answers)


def openstack(settings) -> list[Service]:
    """What every cloud has from PyPI, in the order of a status report."""
    paste = settings.venv / 'etc/nova/api-paste.ini'
    nova = '%s;nova.conf;nova-db.conf' % paste
    return [
        _api(settings, 'keystone', 'keystone.wsgi.api'),
        _api(settings, 'glance', 'glance.wsgi.api'),
        _api(settings, 'placement', 'placement.wsgi.api'),
        _api(settings, 'neutron', 'neutron.wsgi.api',
             files='neutron.conf;ml2.ini'),
        _worker(settings, 'neutron-ovn-maintenance-worker', 'neutron',
                ('neutron.conf', 'ml2.ini')),
        _worker(settings, 'neutron-ovn-metadata-agent', 'neutron',
                ('metadata.conf',)),
        _api(settings, 'nova', 'nova.wsgi.osapi_compute', files=nova),
        _api(settings, 'nova-metadata', 'nova.wsgi.metadata', files=nova),
        _worker(settings, 'nova-conductor', 'nova',
                ('nova.conf', 'nova-db.conf')),
        _worker(settings, 'nova-scheduler', 'nova',
                ('nova.conf', 'nova-db.conf')),
        _worker(settings, 'nova-compute', 'nova',
                ('nova.conf', 'nova-compute.conf')),
        dataclasses.replace(
            _worker(settings, 'nova-serialproxy', 'nova',
                    ('nova.conf', 'nova-db.conf')),
            port='nova-serialproxy', ready=_listening('nova-serialproxy')),
    ]


def start(settings, services) -> int:
    """Start those that do not run; how many that were."""
    return sum(service.process.start(settings) for service in services)


def wait(settings, services) -> None:
    """Wait until all answer.

    :raises: Problem naming the one that ended or stays silent.
    """
    for service in services:
        def answers():
            service.process.check(settings)
            return service.ready is None or service.ready(settings)
        if not processes.wait_until(answers, _PATIENCE_S):
            raise problem.Problem('%s does not answer after %d s' % (
                service.name, _PATIENCE_S), log=service.process.log(settings))


def _api(settings, name, module, files=None) -> Service:
    """A WSGI application under uwsgi, one process with threads."""
    project = name.split('-')[0]
    directory = settings.etc / project
    prefix = 'OS_%s_CONFIG_' % project.upper()
    env = {prefix + 'DIR': str(directory)}
    if files:
        env[prefix + 'FILES'] = files
    command = (
        '/usr/bin/uwsgi-core', '--plugin', 'python3',
        '--home', settings.venv, '--module', module + ':application',
        '--http-socket', '%s:%d' % (settings_.LOOPBACK,
                                    settings_.PORTS[name]),
        '--master', '--processes', 1, '--threads', _API_THREADS,
        '--enable-threads', '--lazy-apps', '--need-app', '--die-on-term',
        '--buffer-size', 65535, '--disable-logging',
        '--add-header', 'Connection: close', '--procname', name)
    return Service(processes.Process(name, command, env), project,
                   port=name, ready=http_answers(name))


def _worker(settings, name, project, files) -> Service:
    command = [settings.tool(name)]
    for each in files:
        command += ['--config-file', settings.etc / project / each]
    return Service(processes.Process(name, tuple(command)), project)


def http_answers(port):
    """A probe of an API, by its name in settings.PORTS."""
    def probe(settings):
        connection = http.client.HTTPConnection(
            settings_.LOOPBACK, settings_.PORTS[port], timeout=10)
        try:
            connection.request('GET', '/')
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
    return probe


def _listening(port):
    def probe(settings):
        try:
            socket.create_connection(
                (settings_.LOOPBACK, settings_.PORTS[port]), 5).close()
            return True
        except OSError:
            return False
    return probe


def _broker_answers(settings) -> bool:
    """Whether it takes up the AMQP handshake, not only the connection."""
    address = settings_.LOOPBACK, settings_.PORTS['rabbitmq']
    try:
        with socket.create_connection(address, 5) as connection:
            connection.sendall(b'AMQP\0\0\x09\x01')
            return connection.recv(1) == b'\x01'
    except OSError:
        return False


def _database_answers(settings) -> bool:
    return bool(shell.output(settings, (
        'mariadb', '--no-defaults', '--user=root', '--batch',
        '--socket=%s' % settings.database_socket, '--execute=SELECT 1'),
        check=False))
