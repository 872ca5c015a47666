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


"""What ``up`` does, step by step."""

from quickstart import configs
from quickstart import engine
from quickstart import heat
from quickstart import image
from quickstart import names
from quickstart import network
from quickstart import packages
from quickstart import preflight
from quickstart import problem
from quickstart import processes
from quickstart import report
from quickstart import schemas
from quickstart import services
from quickstart import settings as settings_
from quickstart import shell
from quickstart import showcase
from quickstart import steps
from quickstart import stores

_AGAIN = 'Read the log, then run "up" again: it continues where it stopped.'
_MIRROR = 'See that the package mirrors can be reached, then run "up" again.'


def run(settings) -> None:
    """Bring the cloud up and show its first server.

    :raises: Problem.
    """
    preflight.check(settings)
    print('The cloud is kept in %s\n' % settings.directory)
    steps.run_all(settings, _steps(settings))
    print('\nmemory: %d MiB, the engine and the servers not counted\n' %
          _memory_mib(settings))
    showcase.show(settings)


def _memory_mib(settings) -> int:
    pids = set(processes.stragglers(settings))
    for service in report.everything(settings):
        pids.update(processes.session(service.process.pid(settings)))
    return processes.memory_mib(pids)


def _engine(settings) -> str:
    note = engine.ensure(settings)
    settings.state.mkdir(parents=True, exist_ok=True)
    engine.remember_images(settings)
    return note


def _configure(settings) -> str:
    """Write configuration; what reads a changed file is stopped."""
    stores.make_directories(settings)
    changed = configs.render(settings)
    if heat.wanted(settings) and heat.configure(settings):
        changed.add('heat')
    processes.stop_all(settings, [
        service.process for service in _everything(settings)
        if service.process.pid(settings) and
        (service.config in changed or _is_outdated(settings, service))])
    if not settings.keypair.exists():
        shell.run(settings, ('ssh-keygen', '-q', '-t', 'ed25519', '-N', '',
                             '-C', names.KEYPAIR, '-f', settings.keypair),
                  'keypair')
    return ', '.join(sorted(changed)) or 'unchanged'


def _is_outdated(settings, service) -> bool:
    """Whether source of this checkout is newer than its process."""
    return (packages.newest_source(service.name) >
            service.process.started_at(settings))


def _everything(settings) -> list[services.Service]:
    return [*services.openstack(settings), *heat.all_services(settings)]


def _network(settings) -> str:
    network.remember_namespaces(settings)
    return network.ensure(settings)


def _python(settings, *words) -> None:
    """Run a module of this package in the cloud's virtualenv."""
    shell.run(settings, (settings.tool('python'), '-m', *words,
                         settings.directory), 'seed',
              {'PYTHONPATH': str(settings_.QUICKSTART)})


def _services(settings) -> str:
    """Start everything; fill the catalogue while the APIs come up.

    The rest is started afterwards: nova-conductor ends at once when its
    user is unknown to Keystone.
    """
    services.wait(settings, [services.broker(settings)])
    everything = _everything(settings)
    apis = [service for service in everything if service.port]
    started = services.start(settings, apis)
    services.wait(settings, everything[:1])
    _python(settings, 'quickstart.catalogue')
    started += services.start(settings, everything)
    services.wait(settings, everything)
    return '%d of %d started' % (started, len(everything))


def _image_there(settings) -> bool:
    try:
        _python(settings, 'quickstart.seed', 'has-image')
    except problem.Problem:
        return False
    return True


def _image(settings) -> str:
    image.build(settings)
    image.upload(settings, names.IMAGE)
    return names.IMAGE


def _seed(settings) -> None:
    _python(settings, 'quickstart.seed', 'seed')


def _boot(settings) -> str:
    """Boot the first server and talk to it."""
    _python(settings, 'quickstart.seed', 'boot')
    address = shell.last_line(shell.log_path(settings, 'seed'))
    showcase.reach(settings, address)
    return '%s answers ping and ssh' % address


def _stack(settings) -> str:
    """Create the first stack and see that its server answers."""
    _python(settings, 'quickstart.stack')
    address = shell.last_line(shell.log_path(settings, 'seed'))
    showcase.ping(settings, address)
    return '%s answers ping' % address


def _steps(settings) -> list[steps.Step]:
    """Those of every cloud, and Heat's two where they belong."""
    everything = list(_STEPS)
    if heat.wanted(settings):
        everything.insert(_STEPS.index(_PROJECT) + 1, _HEAT)
        everything.append(_FIRST_STACK)
    return everything


_PROJECT = steps.Step('the driver', packages.install_project, _AGAIN,
                      packages.project_installed)
_HEAT = steps.Step('Heat', packages.install_heat, _MIRROR,
                   packages.heat_installed)
_FIRST_STACK = steps.Step(
    'first stack', _stack, 'See "openstack stack event list %s"; "openstack '
    'stack delete %s" and "up" create a new one.' % (
        names.STACK, names.STACK))

_STEPS = (
    steps.Step('Debian packages', packages.install_debian, _MIRROR,
               packages.debian_installed),
    steps.Step('Docker Engine', _engine, 'Start Docker by hand, then run '
               '"up" again: it uses an engine that runs.'),
    steps.Step('Python packages', packages.install_python, _MIRROR,
               packages.python_installed),
    _PROJECT,
    steps.Step('configuration', _configure, _AGAIN),
    steps.Step('MariaDB', stores.ensure_database, _AGAIN),
    steps.Step('RabbitMQ', stores.start_broker, _AGAIN),
    steps.Step('Open vSwitch and OVN', _network, _AGAIN),
    steps.Step('database schemas', schemas.ensure, _AGAIN, schemas.done),
    steps.Step('OpenStack services', _services, _AGAIN),
    steps.Step('networks, flavors, keypair', _seed, _AGAIN),
    steps.Step('image', _image, _AGAIN, _image_there),
    steps.Step('first server', _boot, 'See "openstack server show first"; '
               '"openstack server delete first" and "up" boot a new one.'),
)
