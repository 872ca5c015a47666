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


"""Stop the cloud and remove what ``up`` made, and nothing else."""

import os
import pathlib
import shutil

from quickstart import engine
from quickstart import heat
from quickstart import network
from quickstart import problem
from quickstart import processes
from quickstart import services
from quickstart import shell
from quickstart import stores


def run(settings, keep) -> None:
    """Undo ``up``; harmless to repeat, also after half an ``up``.

    :param keep: leave data and stopped containers for the next ``up``.
    """
    if os.geteuid():
        raise problem.Problem('this needs root, as "up" did')
    if not settings.directory.exists():
        print('There is nothing in %s' % settings.directory)
        return
    settings.log.mkdir(exist_ok=True)
    images = [] if keep else stores.glance_images(settings)
    labels = [engine.label(settings), *_stack_labels(settings)]
    _stop_openstack(settings)
    _containers(settings, keep, images, labels)
    _stop_rest(settings)
    if keep:
        print('Data and stopped servers are kept in %s' % settings.directory)
    else:
        shutil.rmtree(settings.directory)
        print('Removed %s' % settings.directory)


def _stack_labels(settings) -> list[str]:
    """What containers carry that stacks made without Nova."""
    if not heat.wanted(settings):
        return []
    return ['%s=%s' % (heat.PROJECT_LABEL, project)
            for project in stores.projects(settings)]


def _stop_openstack(settings) -> None:
    everything = [*services.openstack(settings),
                  *heat.all_services(settings)]
    processes.stop_all(settings, [each.process for each in everything])
    print('OpenStack is stopped')


def _containers(settings, keep, images, labels) -> None:
    """Containers, then the namespaces' names that pointed into them."""
    if not engine.answers():
        return
    names = _links(settings)
    ids = engine.containers_with(settings, *labels)
    if keep:
        engine.stop_containers(settings, ids)
        print('Servers are stopped')
    else:
        print('%d containers removed' %
              engine.remove_containers(settings, ids))
        engine.remove_images(settings, images)
    for link in names:
        link.unlink(missing_ok=True)
    if engine.stop(settings):
        print('The Docker Engine that "up" started is stopped')


def _links(settings) -> list[pathlib.Path]:
    """The names under which ``ip netns`` shows this cloud's servers."""
    uuids = shell.output(settings, (
        'docker', 'ps', '--all', '--filter', 'label=' + engine.label(settings),
        '--format', '{{.Label "org.openstack.nova.uuid"}}'),
        check=False).split()
    return [pathlib.Path('/var/run/netns/nova-' + uuid)
            for uuid in set(uuids)]


def _stop_rest(settings) -> None:
    network.remove_namespaces(settings)
    network.stop(settings)
    processes.stop_all(settings, [each.process for each in (
        services.broker(settings), services.port_mapper(settings),
        services.database(settings))], timeout_s=30)
    processes.end(processes.stragglers(settings))
    print('Databases, message bus and switch are stopped')
