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

"""The resource type ``DockerInc::Docker::Container``."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Set
import contextlib
import dataclasses
import re
from typing import Any

from heat.common import context as heat_context
from heat.common import exception as heat_exception
from heat.common.i18n import _
from heat.engine import resource
from heat.engine import rsrc_defn
from heat.engine import support
from oslo_log import log as logging

from heat_docker import arguments
from heat_docker import attributes
from heat_docker import client
from heat_docker import conf
from heat_docker import exception
from heat_docker import policy
from heat_docker import properties as props
from heat_docker import pull
from heat_docker import watch

LOG = logging.getLogger(__name__)

_LABEL = policy.RESERVED_LABELS + 'heat.'
PROJECT_LABEL = _LABEL + 'project_id'

_LOG_BYTES = 1024 * 1024
_LOG_LINES = 100_000
# What a failure quotes.
_QUOTED_BYTES = 2000
_QUOTED_LINES = 20

# Key of resource data: the engine that has the container. Which of them the
# operator names first may change meanwhile.
_ENDPOINT = 'endpoint'
# Key of resource data: the container was not to stay, and has ended well.
_JOB_DONE = 'job_done'
# Key of resource data: the name of a container that makes room for another.
_PARKED_NAME = 'parked_name'


@dataclasses.dataclass
class _Creation:
    """What Heat hands from one look at a creation to the next."""

    judge: watch.Watch
    pulling: pull.Pull | None = None


class DockerContainer(resource.Resource):
    """A container of a Docker Engine that the operator has named.

    The container runs on the engine itself, apart from Nova and Neutron; a
    container as a server of the cloud is an OS::Nova::Server.
    """

    support_status = support.SupportStatus(
        status=support.UNSUPPORTED,
        message=_('This resource type is not part of Heat.'))

    # The container's, once there is one.
    resource_id: str | None

    PROPERTIES = props.PROPERTIES
    ATTRIBUTES = attributes.ATTRIBUTES
    properties_schema = props.SCHEMA
    attributes_schema = attributes.SCHEMA

    @classmethod
    def is_service_available(
            cls, context: heat_context.RequestContext
            ) -> tuple[bool, str | None]:
        """Why the type cannot be used at all, if so."""
        if client.missing():
            return False, client.missing()
        try:
            _policy().endpoint(None)
        except exception.Refused as err:
            return False, str(err)
        return True, None

    def validate(self) -> None:
        super().validate()
        try:
            _policy().check(self.properties)
            arguments.check(self.properties)
        except (exception.Refused, ValueError) as err:
            raise heat_exception.StackValidationFailed(message=str(err))

    # Creation

    def handle_create(self) -> _Creation:
        _policy().check(self.properties)
        self.data_set(_ENDPOINT, self._wanted_endpoint())
        creation = _Creation(self._watch())
        image = self.properties[props.IMAGE]
        if self._must_pull(image):
            creation.pulling = pull.Pull(self._engine(), image,
                                         conf.options().pull_timeout)
        else:
            self._create_and_start()
        return creation

    def check_create_complete(self, creation: _Creation) -> bool:
        if creation.pulling is not None:
            if creation.pulling.done():
                creation.pulling = None
                self._create_and_start()
            return False
        return self._up(creation.judge)

    def handle_create_cancel(self, creation: _Creation) -> None:
        if creation.pulling is not None:
            creation.pulling.cancel()

    def _must_pull(self, image: str) -> bool:
        wanted = self.properties[props.PULL_POLICY]
        if wanted == props.PULL_ALWAYS:
            return True
        with self._engine() as engine:
            if engine.has_image(image):
                return False
        if wanted == props.PULL_NEVER:
            raise exception.PullFailed(image=image, reason=_(
                'the engine has none of that name, and pull_policy is never'))
        return True

    def _create_and_start(self) -> None:
        with self._engine() as engine:
            links = self._links(engine)
            networks = arguments.endpoints(self.properties, links)
            self.resource_id_set(self._create(engine, links, networks[:1]))
            for network, settings in networks[1:]:
                engine.connect(self._container(), network, settings)
            engine.start(self._container())

    def _create(self, engine: client.Engine, links: Mapping[str, str],
                networks: Iterable[tuple[str, dict[str, Any]]]) -> str:
        wanted = self.properties
        return engine.create(
            self._container_name(wanted),
            arguments.config(wanted, self._labels()),
            arguments.host_config(wanted, links, self._volumes_from(engine)),
            wanted[props.STDIN_ONCE], dict(networks))

    def _up(self, judge: watch.Watch) -> bool:
        with self._engine() as engine:
            info = engine.inspect(self._container())
            try:
                up = judge.done(info)
            except exception.ContainerFailed as err:
                raise self._with_log(engine, err)
        if up and watch.job_done(info['State']):
            self.data_set(_JOB_DONE, 'true')
        return up

    def _with_log(self, engine: client.Engine,
                  err: exception.ContainerFailed
                  ) -> exception.ContainerFailed:
        tail = engine.log(self._container(), _QUOTED_LINES,
                          _QUOTED_BYTES).strip()
        if not tail:
            return err
        return exception.ContainerFailed(reason=_(
            '%(error)s The end of its log: %(tail)s') % {
                'error': err, 'tail': tail})

    # Suspension

    def handle_suspend(self) -> None:
        with self._engine() as engine:
            engine.stop(self._container())

    def handle_resume(self) -> watch.Watch | None:
        """Start again; a job that is done is not done twice."""
        if self._job_done():
            return None
        with self._engine() as engine:
            engine.start(self._container())
        return self._watch()

    def check_resume_complete(self, judge: watch.Watch | None) -> bool:
        return judge is None or self._up(judge)

    # Check

    def handle_check(self) -> None:
        with self._engine() as engine:
            state = engine.inspect(self._container())['State']
            if self._job_done():
                return
            if not state['Running']:
                raise self._with_log(engine, watch.ended(state))
            watch.check_health(state)

    # Update and replacement

    def needs_replace_with_prop_diff(
            self, changed_properties_set: Set[str], after_props: props.Values,
            before_props: props.Values) -> bool:
        """The engine takes no value for "as it was", so cannot lift one."""
        return any(before_props[name] and not after_props[name]
                   for name in (props.MEMORY, props.CPU_SHARES, props.CPU_SET)
                   if name in changed_properties_set)

    def handle_update(self, json_snippet: rsrc_defn.ResourceDefinition,
                      tmpl_diff: Mapping[str, Any],
                      prop_diff: props.Values) -> None:
        wanted = json_snippet.properties(self.properties_schema, self.context)
        changed = set(prop_diff) - {props.PULL_POLICY}
        if not changed:
            return
        with self._engine() as engine:
            if props.NAME in changed:
                engine.rename(self._container(), self._container_name(wanted))
            if changed - {props.NAME}:
                engine.update(self._container(), arguments.update(wanted))

    def prepare_for_replace(self) -> None:
        """Make room: names, ports of the host and files are free then."""
        if self.resource_id is None:
            return
        try:
            with self._engine() as engine:
                self._park(engine)
        except (exception.NotFound, exception.EngineUnavailable) as err:
            LOG.warning('%(name)s is replaced without stopping it: %(err)s',
                        {'name': self, 'err': err})

    def restore_prev_rsrc(self, convergence: bool = False) -> None:
        """Bring back what prepare_for_replace has put aside."""
        # A resource refers to its stack weakly: the stacks are named here to
        # keep them.
        if convergence:
            replacement, _owner, _stack = resource.Resource.load(
                self.context, self.replaced_by, self.stack.current_traversal,
                True, self.stack.defn._resource_data)
            replacement.prepare_for_replace()
            self._bring_back()
        else:
            backup = self.stack._backup_stack()
            self.prepare_for_replace()
            backup.resources[self.name]._bring_back()

    def _bring_back(self) -> None:
        with self._engine() as engine:
            name = self.data().get(_PARKED_NAME)
            if name is not None:
                engine.rename(self._container(), name)
                self.data_delete(_PARKED_NAME)
            if not self._job_done():
                engine.start(self._container())

    def _park(self, engine: client.Engine) -> None:
        info = engine.inspect(self._container())
        engine.stop(info['Id'])
        if _PARKED_NAME not in self.data():
            name = info['Name'].lstrip('/')
            self.data_set(_PARKED_NAME, name)
            engine.rename(info['Id'], '%s-%s' % (name, info['Id'][:12]))

    # Existing containers

    def handle_adopt(self, resource_data: Mapping[str, Any] | None = None
                     ) -> None:
        wanted = dict(resource_data or {})
        # Not before it is known to be ours: what has an id gets deleted.
        self.resource_id = None
        if wanted.get('resource_id'):
            with self._engine() as engine:
                wanted['resource_id'] = self._own(
                    engine, wanted['resource_id'])
        super().handle_adopt(wanted)
        self.data_set(_ENDPOINT, self._wanted_endpoint())

    def _show_resource(self) -> dict[str, Any]:
        with self._engine() as engine:
            if self.external_id is not None:
                self._own(engine, self._container())
            return engine.inspect(self._container())

    def get_live_resource_data(self) -> dict[str, Any]:
        try:
            return self._show_resource()
        except exception.NotFound:
            raise heat_exception.EntityNotFound(entity='Resource',
                                                name=self.name)

    def parse_live_resource_data(self, resource_properties: props.Values,
                                 resource_data: Mapping[str, Any]
                                 ) -> dict[str, Any]:
        """Only whether the container exists is compared."""
        return {}

    # Deletion

    def handle_delete(self) -> None:
        if self.resource_id is not None:
            self.check_delete_complete(None)

    def check_delete_complete(self, _unused: None) -> bool:
        """Ask for the removal until there is nothing left to remove."""
        if self.resource_id is None:
            return True
        with self._engine() as engine:
            try:
                engine.remove(self._container())
            except exception.NotFound:
                return True
            except exception.Conflict:
                LOG.debug('%s is being removed', self)
        return False

    # Attributes

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None
        try:
            with self._engine() as engine:
                return self._attribute(engine, name)
        except exception.NotFound:
            return None

    def _attribute(self, engine: client.Engine, name: str) -> Any:
        container = self._container()
        if name == attributes.LOGS:
            return engine.log(container, _LOG_LINES, _LOG_BYTES)
        if name == attributes.LOGS_HEAD:
            return engine.first_line(container)
        if name == attributes.LOGS_TAIL:
            return engine.log(container, 1, _LOG_BYTES).rstrip('\r\n')
        return attributes.resolve(name, engine.inspect(container))

    # What the rest stands on

    def _container(self) -> str:
        """The container's id.

        :raises: NotFound
        """
        if self.resource_id is None:
            raise exception.NotFound(reason=_(
                'The container of %s has never been made.') % self.name)
        return self.resource_id

    def _engine(self) -> client.Engine:
        """:raises: Refused"""
        known: str | None = self.data().get(_ENDPOINT)
        url = _policy().endpoint(known) if known else self._wanted_endpoint()
        return client.Engine(url, conf.options())

    def _wanted_endpoint(self) -> str:
        """:raises: Refused"""
        return _policy().endpoint(self.properties[props.DOCKER_ENDPOINT])

    def _watch(self) -> watch.Watch:
        return watch.Watch(self.properties,
                           conf.options().start_grace_period)

    def _job_done(self) -> bool:
        return _JOB_DONE in self.data()

    def _container_name(self, wanted: props.Values) -> str:
        wished: str | None = wanted[props.NAME]
        return wished or re.sub('[^a-zA-Z0-9_.-]', '_',
                                self.physical_resource_name())

    def _labels(self) -> dict[str, str]:
        return {
            PROJECT_LABEL: self.context.project_id,
            _LABEL + 'stack_id': self.stack.id,
            _LABEL + 'stack_name': self.stack.name,
            _LABEL + 'resource_name': self.name,
        }

    def _links(self, engine: client.Engine) -> dict[str, str]:
        return {self._own(engine, container): alias for container, alias
                in arguments.links(self.properties).items()}

    def _volumes_from(self, engine: client.Engine) -> list[tuple[str, str]]:
        return [(self._own(engine, container), mode) for container, mode
                in arguments.volumes_from(self.properties)]

    def _own(self, engine: client.Engine, container: str) -> str:
        """The id of a container that this project may use.

        :raises: Refused, in the same words if there is none
        """
        with contextlib.suppress(exception.NotFound):
            info = engine.inspect(container)
            labels = info['Config'].get('Labels') or {}
            if (labels.get(PROJECT_LABEL) == self.context.project_id or
                    conf.options().allow_foreign_containers):
                return str(info['Id'])
        raise exception.Refused(reason=_(
            'The engine has no container %s that a stack of this project '
            'made.') % container)


def _policy() -> policy.Policy:
    return policy.Policy(conf.options())
