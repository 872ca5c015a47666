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

"""What a server's process is told, from its image and its image properties.

All of it is a tenant's choice: whatever makes no sense is refused with the
name of the property, before anything is made.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import re
import shlex

from oslo_serialization import jsonutils
from oslo_utils import strutils

from nova import exception
from novadocker.i18n import _
from novadocker.virt.docker.engine import model

ENTRYPOINT_PROPERTY = 'docker_entrypoint'
COMMAND_PROPERTY = 'docker_command'
OLD_COMMAND_PROPERTY = 'os_command_line'
ENVIRONMENT_PROPERTY = 'docker_environment'
WORKDIR_PROPERTY = 'docker_workdir'
USER_PROPERTY = 'docker_user'
INIT_PROPERTY = 'docker_init'

# Programs that insist on being PID 1, or are there to be it.
_INIT_PROGRAMS = frozenset((
    'init', 'systemd', 'runit', 'runit-init', 's6-svscan', 'tini',
    'tini-static', 'dumb-init', 'catatonit', 'docker-init'))
_SHELLS = frozenset(('sh', 'ash', 'bash', 'dash'))
# Where a shell's next command begins.
_SEPARATORS = re.compile('[;&|\n]+')

# A name or a number, and a group likewise; the engine takes 31 bits.
_USER = re.compile('(?P<user>[^:\0]+)(:(?P<group>[^:\0]+))?')
_LARGEST_ID = 2 ** 31 - 1


@dataclasses.dataclass(frozen=True)
class Process:
    """``entrypoint`` and ``command`` None mean the image's own, as do
    ``working_dir`` and ``user``.

    ``init`` asks the engine for a PID 1 that forwards signals and reaps.
    """

    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    working_dir: str | None
    user: str | None
    init: bool


def of(image: model.Image, properties: Mapping[str, str],
       metadata: Mapping[str, str]) -> Process:
    """The process of a server.

    :param properties: Glance image properties, as the image's owner set
        them
    :param metadata: becomes environment, over what the image's property says
    :raises: ImageUnacceptable that names the property
    """
    try:
        entrypoint = _arguments(properties, ENTRYPOINT_PROPERTY)
        command = (_arguments(properties, COMMAND_PROPERTY) or
                   _arguments(properties, OLD_COMMAND_PROPERTY))
        return Process(
            entrypoint=entrypoint, command=command,
            environment=_environment(properties, metadata),
            working_dir=_working_dir(properties),
            user=_user(properties),
            init=_needs_init(properties, _argv(image, entrypoint, command)))
    except ValueError as err:
        raise exception.ImageUnacceptable(
            image_id=image.id, reason=str(err)) from err


def _argv(image: model.Image, entrypoint: tuple[str, ...] | None,
          command: tuple[str, ...] | None) -> tuple[str, ...]:
    """What is executed in the end; an entrypoint drops the image's CMD."""
    if entrypoint:
        return entrypoint + (command or ())
    argv = image.entrypoint + (command or image.command)
    if not argv:
        raise ValueError(_(
            'it has neither ENTRYPOINT nor CMD; set its property %s') %
            OLD_COMMAND_PROPERTY)
    return argv


def _arguments(properties: Mapping[str, str],
               name: str) -> tuple[str, ...] | None:
    """A JSON list of words, or a line split as a shell would.

    What begins with a bracket is JSON: the program ``[`` has to be quoted.
    """
    text = properties.get(name) or ''
    try:
        words = (_json_words(text) if text.lstrip().startswith('[') else
                 shlex.split(text))
        if '\0' in ''.join(words):
            raise ValueError(_('it holds a NUL'))
    except ValueError as err:
        raise ValueError(_(
            'property %(name)s is no valid command line: %(error)s') % {
                'name': name, 'error': err}) from err
    return tuple(words) or None


def _json_words(text: str) -> list[str]:
    words = jsonutils.loads(text)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(_('it must be a JSON list of one string or more'))
    return list(words)


def _environment(properties: Mapping[str, str],
                 metadata: Mapping[str, str]) -> dict[str, str]:
    environment = _environment_property(properties)
    # A NUL ends a variable early in execve(2), and the engine fails on it;
    # metadata is there for other purposes, too.
    environment.update({key: value for key, value in metadata.items()
                        if '\0' not in key + value})
    return environment


def _environment_property(properties: Mapping[str, str]) -> dict[str, str]:
    text = properties.get(ENVIRONMENT_PROPERTY)
    if not text:
        return {}
    try:
        environment = jsonutils.loads(text)
    except ValueError:
        environment = None
    if not (isinstance(environment, dict) and
            all(map(_is_variable, environment, environment.values()))):
        raise ValueError(_(
            'property %s must be a JSON object of strings, whose names are '
            'not empty and hold no "="') % ENVIRONMENT_PROPERTY)
    return {key: str(value) for key, value in environment.items()}


def _is_variable(key: str, value: object) -> bool:
    # True and False are numbers to Python, and other words to a shell.
    return (isinstance(value, (str, int)) and not isinstance(value, bool) and
            key != '' and '=' not in key and '\0' not in key + str(value))


def _working_dir(properties: Mapping[str, str]) -> str | None:
    path = properties.get(WORKDIR_PROPERTY)
    if path and (not path.startswith('/') or '\0' in path):
        raise ValueError(_(
            'property %(name)s must be an absolute path, not "%(value)s"') % {
                'name': WORKDIR_PROPERTY, 'value': path})
    return path


def _user(properties: Mapping[str, str]) -> str | None:
    user = properties.get(USER_PROPERTY)
    if not user:
        return None
    found = _USER.fullmatch(user)
    if found is None or not all(map(_is_owner, found.groupdict().values())):
        raise ValueError(_(
            'property %(name)s must be a user or user:group, by name or by '
            'number from 0 to %(largest)d, not "%(value)s"') % {
                'name': USER_PROPERTY, 'largest': _LARGEST_ID,
                'value': user})
    return user


def _is_owner(name: str | None) -> bool:
    if name is None:
        return True
    try:
        return 0 <= int(name) <= _LARGEST_ID
    except ValueError:
        return True


def _needs_init(properties: Mapping[str, str],
                argv: Sequence[str]) -> bool:
    wanted = properties.get(INIT_PROPERTY)
    if not wanted:
        return os.path.basename(_program(argv)) not in _INIT_PROGRAMS
    try:
        return bool(strutils.bool_from_string(wanted, strict=True))
    except ValueError:
        raise ValueError(_(
            'property %(name)s must be true or false, not "%(value)s"') % {
                'name': INIT_PROPERTY, 'value': wanted}) from None


def _program(argv: Sequence[str]) -> str:
    """What runs in the end, if a shell says so with its last command."""
    if (len(argv) < 3 or os.path.basename(argv[0]) not in _SHELLS or
            not re.fullmatch('-[a-z]*c', argv[1])):
        return argv[0]
    words = _SEPARATORS.split(argv[2].strip())[-1].split()
    return words[1] if words[:1] == ['exec'] and words[1:] else argv[0]
