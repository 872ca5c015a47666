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

"""What the operator allows; every refusal is one sentence.

Nothing here asks an engine, so a template is refused when it is validated.
A property whose value is not known by then is judged again at creation.
"""

import posixpath

from heat.common.i18n import _

from heat_docker import conf
from heat_docker import exception
from heat_docker import properties as props
from heat_docker import scalars

# Labels under which OpenStack knows its containers again.
RESERVED_LABELS = 'org.openstack.'


class Policy:
    """Judges properties by the options of ``[docker_resource]``."""

    def __init__(self, options: conf.Options):
        self._options = options

    def endpoint(self, wanted: str | None) -> str:
        """The URL of an allowed engine; the first, if none is wanted.

        :raises: Refused
        """
        endpoints = self._options.endpoints
        if not endpoints:
            raise exception.Refused(reason=_(
                'The operator of this cloud has named no Docker Engine for '
                'stacks (heat.conf, [docker_resource] endpoints).'))
        if not wanted:
            return _url(endpoints[0])
        if _url(wanted) not in [_url(each) for each in endpoints]:
            raise _refused('docker_endpoint', _('the engine %s') % wanted)
        return _url(wanted)

    def check(self, properties: props.Values) -> None:
        """:raises: Refused, with the first reason found"""
        self.endpoint(properties[props.DOCKER_ENDPOINT])
        self._check_privileged(properties)
        self._check_binds(properties)
        self._check_devices(properties)
        self._check_capabilities(properties)
        self._check_networks(properties)
        _check_labels(properties)

    def _check_privileged(self, properties: props.Values) -> None:
        if properties[props.PRIVILEGED] and not self._options.allow_privileged:
            raise _refused(props.PRIVILEGED, _('privileged containers'))

    def _check_binds(self, properties: props.Values) -> None:
        for written in properties[props.VOLUMES] or ():
            source = scalars.text(props.VOLUMES, written)
            if not any(_covers(allowed, source)
                       for allowed in self._options.allowed_binds):
                raise _refused(props.VOLUMES, _('to mount %s') % source)

    def _check_devices(self, properties: props.Values) -> None:
        for device in properties[props.DEVICES] or ():
            path = posixpath.normpath(device[props.PATH_ON_HOST])
            if path not in self._options.allowed_devices:
                raise _refused(props.DEVICES, _('the device %s') % path)

    def _check_capabilities(self, properties: props.Values) -> None:
        allowed = self._options.allowed_capabilities
        for name in properties[props.CAP_ADD] or ():
            if name not in allowed and 'ALL' not in allowed:
                raise _refused(props.CAP_ADD, _('capability %s') % name)

    def _check_networks(self, properties: props.Values) -> None:
        for network in properties[props.NETWORKS] or ():
            name = network[props.NETWORK]
            if name not in self._options.allowed_networks:
                raise _refused(props.NETWORKS, _('the network %s') % name)


def _check_labels(properties: props.Values) -> None:
    for written in properties[props.LABELS] or ():
        name = scalars.text(props.LABELS, written)
        if name.startswith(RESERVED_LABELS):
            raise exception.Refused(reason=_(
                'Property labels: names that begin with "%s" belong to '
                'OpenStack.') % RESERVED_LABELS)


def _refused(name: str, what: str) -> exception.Refused:
    return exception.Refused(reason=_(
        'Property %(name)s: the operator of this cloud does not allow '
        '%(what)s.') % {'name': name, 'what': what})


def _url(endpoint: str) -> str:
    """One spelling for those that mean the same."""
    scheme, separator, rest = endpoint.strip().partition('://')
    if not separator:
        scheme, rest = 'tcp', scheme
    if scheme == 'unix':
        return 'unix:///' + rest.strip('/')
    if scheme in ('http', 'https'):
        scheme = 'tcp'
    return '%s://%s' % (scheme, rest.rstrip('/').lower())


def _covers(allowed: str, source: str) -> bool:
    # The engine would end the source there, and so be told another one.
    if ':' in source:
        return False
    if not source.startswith('/'):
        return source == allowed
    # POSIX leaves a meaning to exactly two slashes, and normpath keeps them.
    path = '/' + posixpath.normpath(source).lstrip('/')
    directory = allowed.rstrip('/')
    return allowed.startswith('/') and (
        path == directory or path.startswith(directory + '/'))
