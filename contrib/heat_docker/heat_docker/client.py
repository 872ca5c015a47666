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

"""The only door to Docker Engine, and the only importer of docker-py.

Verbs of the Engine API, a few lines each. Failures become the tree of
``exception``, chosen by HTTP status.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any
from typing import cast
from typing import Self

from heat.common.i18n import _

from heat_docker import conf
from heat_docker import exception

_missing: str | None = None
try:
    import docker
    from docker import errors as docker_errors
    import requests
except ImportError as err:
    _missing = str(err)

# Engine 20.10, the oldest that is tested.
_MINIMUM_API_VERSION = (1, 41)
_STOP_TIMEOUT_S = 10
_HEAD_BYTES = 64 * 1024


def missing() -> str | None:
    """Why no engine can be spoken to, or None."""
    return _missing and _(
        'The Docker SDK for Python is not installed where heat-engine runs '
        '(%s).') % _missing


class Engine:
    """One engine, for one thread, as a context manager.

    :param url: ``unix:///path`` or ``tcp://host:port``
    """

    # From __enter__ on.
    _api: 'docker.APIClient'

    def __init__(self, url: str, options: conf.Options):
        self._url = url
        self._options = options

    def __enter__(self) -> Self:
        """:raises: EngineUnavailable"""
        if missing():
            raise exception.EngineUnavailable(url=self._url, reason=missing())
        with self._translated():
            self._api = docker.APIClient(
                base_url=self._url, version='auto', tls=self._tls(),
                timeout=self._options.api_timeout)
            self._check_version()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._api.close()

    def _tls(self) -> 'docker.tls.TLSConfig | bool':
        options = self._options
        if self._url.startswith('unix:') or not (
                options.ca_file or options.cert_file or options.insecure):
            return False
        pair = options.cert_file and (options.cert_file, options.key_file)
        return docker.tls.TLSConfig(
            client_cert=pair or None, ca_cert=options.ca_file,
            verify=not options.insecure)

    def _check_version(self) -> None:
        spoken = self._api.api_version
        if tuple(map(int, spoken.split('.'))) < _MINIMUM_API_VERSION:
            self._api.close()
            raise exception.EngineUnavailable(url=self._url, reason=_(
                'it speaks API %s; Docker Engine 20.10 or later is needed')
                % spoken)

    # Images

    def has_image(self, image: str) -> bool:
        try:
            with self._translated():
                self._api.inspect_image(image)
        except exception.NotFound:
            return False
        return True

    def pull(self, image: str) -> Iterator[str | None]:
        """Yield the error, or None, of each message about progress.

        The credentials in the home directory of heat-engine are not shown to
        the registry: they are the operator's.
        """
        with self._translated():
            for message in self._api.pull(image, stream=True, decode=True,
                                          auth_config={}):
                yield message.get('error')

    # Containers

    def create(self, name: str, config: Mapping[str, Any],
               host_config: Mapping[str, Any], stdin_once: bool,
               networks: Mapping[str, Mapping[str, Any]]) -> str:
        """Create a container, without starting it, and return its id.

        :param config: for ``APIClient.create_container_config``
        :param host_config: for ``APIClient.create_host_config``
        :param networks: the one to begin with, if any, and the settings of
            the endpoint there, for ``APIClient.create_endpoint_config``
        :raises: Conflict if the name is taken, NotFound
        """
        with self._translated():
            endpoints = {
                network: self._api.create_endpoint_config(**settings)
                for network, settings in networks.items()}
            body = self._api.create_container_config(
                **config,
                networking_config=self._api.create_networking_config(
                    endpoints),
                host_config=self._api.create_host_config(**host_config))
            body['StdinOnce'] = stdin_once
            created = self._api.create_container_from_config(body, name)
        return str(created['Id'])

    def connect(self, container: str, network: str,
                settings: Mapping[str, Any]) -> None:
        """Join a further network.

        :raises: NotFound
        """
        with self._translated():
            self._api.connect_container_to_network(
                container, network, **settings)

    def start(self, container: str) -> None:
        """Start; a container that runs already is left as it is."""
        with self._translated():
            self._api.start(container)

    def stop(self, container: str) -> None:
        """Send the stop signal, wait ten seconds, kill; idempotent."""
        with self._translated():
            self._api.stop(container, timeout=_STOP_TIMEOUT_S)

    def rename(self, container: str, name: str) -> None:
        """:raises: Conflict if the name is taken"""
        with self._translated():
            self._api.rename(container, name)

    def update(self, container: str, limits: Mapping[str, Any]) -> None:
        with self._translated():
            self._api.update_container(container, **limits)

    def remove(self, container: str) -> None:
        """Kill if need be and remove, with its anonymous volumes.

        :raises: NotFound; Conflict while another removal is in progress
        """
        with self._translated():
            self._api.remove_container(container, v=True, force=True)

    def inspect(self, container: str) -> dict[str, Any]:
        """:raises: NotFound"""
        with self._translated():
            return cast(dict[str, Any],
                        self._api.inspect_container(container))

    # Logs

    def first_line(self, container: str) -> str:
        data = b''
        with self._translated():
            for chunk in self._api.logs(container, stream=True,
                                        follow=False):
                data += chunk
                if b'\n' in data or len(data) >= _HEAD_BYTES:
                    break
        return _text(data).partition('\n')[0].rstrip('\r')

    def log(self, container: str, lines: int, max_bytes: int) -> str:
        """The last lines, as far as their last bytes go."""
        tail = bytearray()
        with self._translated():
            for chunk in self._api.logs(container, stream=True, follow=False,
                                        tail=lines):
                tail += chunk
                if len(tail) > 2 * max_bytes:
                    del tail[:-max_bytes]
        return _text(bytes(tail[-max_bytes:]))

    # Errors

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except docker_errors.APIError as err:
            raise _from_status(err) from err
        except (docker_errors.DockerException,
                requests.exceptions.RequestException, OSError) as err:
            raise exception.EngineUnavailable(
                url=self._url, reason=str(err)) from err


def _from_status(err: 'docker_errors.APIError') -> exception.EngineError:
    kinds = {404: exception.NotFound, 409: exception.Conflict}
    kind = kinds.get(err.status_code, exception.EngineError)
    return kind(reason=err.explanation or str(err))


def _text(data: bytes) -> str:
    # MySQL and PostgreSQL store no NUL in a text.
    return data.decode('utf-8', 'replace').replace('\0', '')
