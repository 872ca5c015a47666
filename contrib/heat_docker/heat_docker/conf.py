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

"""The ``[docker_resource]`` options of heat.conf.

All that decides about the security of an engine is here and nowhere in a
template.
"""

from typing import cast
from typing import Protocol

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'docker_resource', title='DockerInc::Docker::Container',
    help='Docker Engines that stacks may use, and what they may do there.')

# What Docker Engine gives a container that asks for nothing.
_ENGINE_CAPABILITIES = [
    'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL',
    'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW', 'SETFCAP', 'SETGID', 'SETPCAP',
    'SETUID', 'SYS_CHROOT']

engine_opts = [
    cfg.ListOpt(
        'endpoints', default=[],
        help="""
Docker Engines that stacks may use.

Whoever may create stacks may run containers on these engines. Give stacks
an engine of their own, on a host that does nothing else.

Possible values:

* Empty (default): none; the resource type is unavailable. The engine of the
  machine that runs heat-engine is no exception.
* ``tcp://address:port`` or ``unix:///path/to/socket``, separated by commas.
  The first one serves templates without ``docker_endpoint``.

Related options:

* ``ca_file``, ``cert_file``, ``key_file``, ``insecure``
"""),
    cfg.StrOpt(
        'ca_file',
        help="""
Certificate authority that signed the certificates of ``tcp://`` engines.

Possible values:

* Path of a PEM file.
* Unset (default): no TLS, unless ``cert_file`` or ``insecure`` is set.
"""),
    cfg.StrOpt(
        'cert_file',
        help="""
Certificate that heat-engine shows to ``tcp://`` engines.

Possible values:

* Path of a PEM file; ``key_file`` has to be set as well.
* Unset (default): no client certificate.
"""),
    cfg.StrOpt(
        'key_file',
        help="""
Private key of the certificate in ``cert_file``.

Possible values:

* Path of a PEM file without passphrase; ``cert_file`` has to be set too.
* Unset (default): no client certificate.
"""),
    cfg.BoolOpt(
        'insecure', default=False,
        help="""
Talk TLS to ``tcp://`` engines without verifying their certificates.

Possible values:

* ``False`` (default): certificates must be signed by ``ca_file``.
* ``True``: any certificate is taken; whoever can redirect the connection
  then controls every container of every stack.
"""),
    cfg.IntOpt(
        'api_timeout', default=60, min=1,
        help="""
Longest wait, in seconds, for an engine to answer.

Possible values:

* 1 or more seconds; a container has ten seconds to stop, so values below
  15 make it fail to suspend containers that ignore the stop signal.
"""),
    cfg.IntOpt(
        'pull_timeout', default=600, min=1,
        help="""
Longest silence, in seconds, of an engine while it pulls an image.

Possible values:

* 1 or more seconds. The whole pull may last as long as the stack's timeout.
"""),
    cfg.FloatOpt(
        'start_grace_period', default=1.0, min=0,
        help="""
Time, in seconds, that the process of a new container has to stay alive for
its resource to become CREATE_COMPLETE.

Possible values:

* 0: a container is complete as soon as it has been seen running.
* A second catches wrong commands and missing files, a few seconds most
  wrong configurations. Heat looks once a second.
"""),
]

permission_opts = [
    cfg.BoolOpt(
        'allow_privileged', default=False,
        help="""
Let templates ask for privileged containers.

Possible values:

* ``False`` (default)
* ``True``: whoever may create stacks is root on the hosts of ``endpoints``.
"""),
    cfg.ListOpt(
        'allowed_binds', default=[],
        help="""
What templates may mount with the property ``volumes``.

Possible values:

* Empty (default): nothing.
* Absolute path of a directory of the engine's host: it and all below it.
  Not safe if a stack can create symbolic links there.
* Name of a volume of the engine. All projects may use it.
"""),
    cfg.ListOpt(
        'allowed_devices', default=[],
        help="""
Devices of the engine's host that templates may pass to containers.

Possible values:

* Empty (default): none.
* Absolute paths such as ``/dev/kvm``, separated by commas.
"""),
    cfg.ListOpt(
        'allowed_capabilities', default=_ENGINE_CAPABILITIES,
        help="""
Capabilities that templates may add with the property ``cap_add``.

Possible values:

* Names without ``CAP_``, separated by commas. The default is what an engine
  gives every container, so that adding changes nothing unless ``cap_drop``
  dropped them. ``SYS_ADMIN`` and some others amount to root on the host.
* ``ALL``: every one, ``ALL`` itself included.
"""),
    cfg.ListOpt(
        'allowed_networks', default=['bridge', 'none'],
        help="""
Networks of the engine that templates may name.

Containers of one network reach each other whatever their project.

Possible values:

* Names of networks, separated by commas.
* ``host`` is the host's own network, with all that listens on its loopback
  interface.
* Empty: the property ``networks`` cannot be used.
"""),
    cfg.BoolOpt(
        'allow_foreign_containers', default=False,
        help="""
Let stacks link to, mount the volumes of, and adopt any container.

Possible values:

* ``False`` (default): only containers that a stack of the same project has
  made. Those of the old plugin carry no mark and do not count.
* ``True``: any container of the engine, also those of other projects, and
  those of Nova servers if the engine has any. Set it for as long as it
  takes to adopt the containers of the old plugin.
"""),
]

ALL_OPTS = engine_opts + permission_opts


class Options(Protocol):
    """The values of the options, as their readers see them."""

    endpoints: list[str]
    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    insecure: bool
    api_timeout: int
    pull_timeout: int
    start_grace_period: float
    allow_privileged: bool
    allowed_binds: list[str]
    allowed_devices: list[str]
    allowed_capabilities: list[str]
    allowed_networks: list[str]
    allow_foreign_containers: bool


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options known to a ConfigOpts; harmless to repeat."""
    conf.register_group(GROUP)
    conf.register_opts(ALL_OPTS, group=GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Entry point of ``oslo.config.opts``."""
    return [(GROUP, ALL_OPTS)]


def options() -> Options:
    """The options as they are now."""
    return cast(Options, CONF[GROUP.name])


CONF = cfg.CONF
register_opts(CONF)
