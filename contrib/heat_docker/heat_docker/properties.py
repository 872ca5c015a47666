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

"""The properties of a container: names, types, constraints, meaning."""

from collections.abc import Mapping
from typing import Any

from heat.common.i18n import _
from heat.engine import constraints
from heat.engine import properties
from heat.engine import support

# What a template sets, by name. Heat has given defaults and, where a schema
# says so, checked types; elsewhere a value is whatever YAML made of it.
Values = Mapping[str, Any]

PROPERTIES = (
    DOCKER_ENDPOINT, HOSTNAME, USER, MEMORY, PORT_SPECS, PRIVILEGED, TTY,
    OPEN_STDIN, STDIN_ONCE, ENV, CMD, DNS, IMAGE, VOLUMES, VOLUMES_FROM,
    PORT_BINDINGS, LINKS, NAME, RESTART_POLICY, CAP_ADD, CAP_DROP, READ_ONLY,
    CPU_SHARES, DEVICES, CPU_SET, HEALTH_CHECK, NETWORKS, LABELS,
    PULL_POLICY,
) = (
    'docker_endpoint', 'hostname', 'user', 'memory', 'port_specs',
    'privileged', 'tty', 'open_stdin', 'stdin_once', 'env', 'cmd', 'dns',
    'image', 'volumes', 'volumes_from', 'port_bindings', 'links', 'name',
    'restart_policy', 'cap_add', 'cap_drop', 'read_only', 'cpu_shares',
    'devices', 'cpu_set', 'health_check', 'networks', 'labels',
    'pull_policy',
)

POLICY_NAME, POLICY_MAXIMUM_RETRY_COUNT = 'Name', 'MaximumRetryCount'
PATH_ON_HOST, PATH_IN_CONTAINER, PERMISSIONS = (
    'path_on_host', 'path_in_container', 'permissions')
TEST, INTERVAL, TIMEOUT, RETRIES, START_PERIOD = (
    'test', 'interval', 'timeout', 'retries', 'start_period')
NETWORK, ALIASES = 'network', 'aliases'
PULL_MISSING, PULL_ALWAYS, PULL_NEVER = 'missing', 'always', 'never'

CAPABILITIES = [
    'SETPCAP', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_PACCT', 'SYS_ADMIN',
    'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD',
    'AUDIT_WRITE', 'AUDIT_CONTROL', 'MAC_OVERRIDE', 'MAC_ADMIN', 'NET_ADMIN',
    'SYSLOG', 'CHOWN', 'NET_RAW', 'DAC_OVERRIDE', 'FOWNER',
    'DAC_READ_SEARCH', 'FSETID', 'KILL', 'SETGID', 'SETUID',
    'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'IPC_LOCK',
    'IPC_OWNER', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_BOOT', 'LEASE', 'SETFCAP',
    'WAKE_ALARM', 'BLOCK_SUSPEND', 'ALL']

_DEVICE_PATH = [
    constraints.Length(max=255),
    constraints.AllowedPattern(r'^/dev/[/_\-a-zA-Z0-9]+$'),
]
_OURS = support.SupportStatus(
    message=_('Not in the plugin of the Heat tree.'))

_Schema = properties.Schema


def _string(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.STRING, description, **more)


def _integer(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.INTEGER, description, **more)


def _number(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.NUMBER, description,
                   constraints=[constraints.Range(min=0)], **more)


def _flag(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.BOOLEAN, description, default=False, **more)


def _list(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.LIST, description, **more)


def _map(description: str, **more: Any) -> properties.Schema:
    return _Schema(_Schema.MAP, description, **more)


def _since(version: str) -> support.SupportStatus:
    return support.SupportStatus(version=version)


def _capabilities(description: str) -> properties.Schema:
    return _list(
        description, default=[], support_status=_since('2015.1'),
        schema=_string(
            _('Name of a capability, without CAP_.'),
            constraints=[constraints.AllowedValues(CAPABILITIES)]))


_RESTART_POLICY = {
    POLICY_NAME: _string(
        _('When to restart: never, if the exit code is not 0, or always.'),
        default='no',
        constraints=[
            constraints.AllowedValues(['no', 'on-failure', 'always'])]),
    POLICY_MAXIMUM_RETRY_COUNT: _integer(
        _('Most restarts with on-failure; 0 for no limit.'), default=0),
}

_DEVICE = {
    PATH_ON_HOST: _string(
        _('Path of the device on the host of the engine.'), required=True,
        constraints=_DEVICE_PATH),
    PATH_IN_CONTAINER: _string(
        _('Path of the device in the container; by default the same.'),
        constraints=_DEVICE_PATH),
    PERMISSIONS: _string(
        _('What the container may do: read, write, make nodes.'),
        default='rwm',
        constraints=[constraints.AllowedValues(
            ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'])]),
}

_HEALTH_CHECK = {
    TEST: _list(
        _('["CMD", program, argument, ...], ["CMD-SHELL", command line], or '
          '["NONE"] to switch off the check of the image.'),
        required=True),
    INTERVAL: _number(_('Seconds between two checks.'), default=30),
    TIMEOUT: _number(_('Seconds that one check may last.'), default=30),
    RETRIES: _integer(
        _('Failures in a row that make a container unhealthy.'), default=3,
        constraints=[constraints.Range(min=1)]),
    START_PERIOD: _number(
        _('Seconds at the start in which failures do not count.'),
        default=0),
}

_NETWORK = {
    NETWORK: _string(_('Name of a network of the engine.'), required=True),
    ALIASES: _list(
        _('Names that other containers of the network find it by.'),
        default=[], schema=_string(_('A host name.'))),
}

SCHEMA = {
    DOCKER_ENDPOINT: _string(
        _('Docker Engine, one of those the operator allows; by default the '
          'first of them.')),
    HOSTNAME: _string(_('Hostname of the container.'), default=''),
    USER: _string(_('Username or UID.'), default=''),
    MEMORY: _integer(_('Memory limit (Bytes).'), update_allowed=True),
    PORT_SPECS: _list(
        _('Ports to expose: "80", "80/tcp", "53/udp".')),
    PORT_BINDINGS: _map(
        _('Ports to publish on the host: {"80/tcp": 8080}, with {"HostIp": '
          'address, "HostPort": port}, a list of those, or nothing for a '
          'port that the engine chooses.')),
    LINKS: _map(
        _('Containers to reach by another name: {container: alias}.')),
    NAME: _string(
        _('Name of the container; by default made of the names of stack and '
          'resource.'),
        update_allowed=True),
    PRIVILEGED: _flag(_('Give the container all rights on the host.')),
    TTY: _flag(_('Allocate a pseudo-tty.')),
    OPEN_STDIN: _flag(_('Keep stdin open.')),
    STDIN_ONCE: _flag(
        _('Close stdin after the first attached client disconnects.')),
    ENV: _list(_('Environment variables: "NAME=value".')),
    CMD: _list(_('Command to run instead of the command of the image.'),
               default=[]),
    DNS: _list(_('Addresses of DNS servers.')),
    IMAGE: _string(_('Name of the image.'), required=True),
    VOLUMES: _map(
        _('What to mount: {source: {"bind": path, "ro": boolean}} or '
          '{source: path}, the source being a path on the host of the engine '
          'or the name of a volume.'),
        default={}),
    VOLUMES_FROM: _list(
        _('Containers whose volumes to mount: name, name:ro or name:rw.'),
        default=[]),
    RESTART_POLICY: _map(
        _('What the engine does when the container exits.'), default={},
        schema=_RESTART_POLICY, update_allowed=True,
        support_status=_since('2015.1')),
    CAP_ADD: _capabilities(_('Kernel capabilities to add.')),
    CAP_DROP: _capabilities(_('Kernel capabilities to drop.')),
    READ_ONLY: _flag(
        _('Mount the root file system of the container read only.'),
        support_status=_since('2015.1')),
    CPU_SHARES: _integer(
        _('Relative weight of the container when CPUs are short; 0 for the '
          'default of the engine, 1024.'),
        default=0, update_allowed=True, support_status=_since('5.0.0')),
    DEVICES: _list(
        _('Devices to pass to the container; a privileged one has all.'),
        default=[], schema=_Schema(_Schema.MAP, schema=_DEVICE),
        support_status=_since('5.0.0')),
    CPU_SET: _string(
        _('CPUs to run on, such as "0-2,4".'), update_allowed=True,
        support_status=_since('5.0.0')),
    HEALTH_CHECK: _map(
        _('How the engine finds out whether the container works. Create '
          'waits for the first success.'),
        schema=_HEALTH_CHECK, support_status=_OURS),
    NETWORKS: _list(
        _('Networks to join before the start; by default the default bridge '
          'of the engine.'),
        schema=_Schema(_Schema.MAP, schema=_NETWORK), support_status=_OURS),
    LABELS: _map(_('Labels of the container.'), support_status=_OURS),
    PULL_POLICY: _string(
        _('Whether to pull the image when the engine has none of that name, '
          'always, or never.'),
        default=PULL_MISSING, update_allowed=True, support_status=_OURS,
        constraints=[constraints.AllowedValues(
            [PULL_MISSING, PULL_ALWAYS, PULL_NEVER])]),
}
