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

"""Which containers are whose, and in what state.

The one place that answers this, by label and role: names are for people, and
a container that only bears a server's name is none of its. An answer costs
one list call, for one server or for all of this host.
"""

from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import threading
import time

from nova import exception as nova_exception
from nova import objects

from novadocker.i18n import _
from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import model
from novadocker.virt.docker import hostops
from novadocker.virt.docker import names

_LISTING_LIFETIME_S = 5.0


class DiskLost(nova_exception.NovaException):
    """The server is known to Nova and its container is not there.

    No InstanceNotFound: Nova takes that one for "deleted meanwhile", records
    no fault, and may leave the server in the midst of its task.
    """

    msg_fmt = _("The container of server %(uuid)s was removed from the "
                "engine, and with it the server's disk; rebuild the server")


@dataclasses.dataclass(frozen=True)
class Server:
    """The containers of one server, newest first."""

    uuid: str
    containers: tuple[model.ContainerSummary, ...] = ()

    @property
    def workload(self) -> model.ContainerSummary | None:
        """The container whose file system is the server's disk.

        Amid a replacement there are two, of which the new one says what it
        replaces; it was made complete.
        """
        found = self.workloads
        replaced = {each.labels.get(names.LABEL_REPLACES) for each in found}
        return next((each for each in found if each.id not in replaced), None)

    @property
    def workloads(self) -> tuple[model.ContainerSummary, ...]:
        """The workload, and what it replaces."""
        return self._of_role(names.ROLE_WORKLOAD)

    @property
    def disk(self) -> model.ContainerSummary:
        """The workload, where nothing can be done without.

        :raises: DiskLost
        """
        found = self.workload
        if found is None:
            raise DiskLost(uuid=self.uuid)
        return found

    @property
    def unborn(self) -> bool:
        """Whether no container of it ever ran, so that nothing is in any."""
        return all(each.state == model.CREATED for each in self.containers)

    @property
    def sandbox(self) -> model.ContainerSummary | None:
        """The container that holds the namespace; the workload's, if any."""
        found = self._of_role(names.ROLE_SANDBOX)
        workload = self.workload
        owner = workload.network_owner if workload else ''
        return next((each for each in found if each.id == owner),
                    next(iter(found), None))

    @property
    def surplus(self) -> tuple[model.ContainerSummary, ...]:
        """What was replaced, or made twice, and is not removed yet."""
        return tuple(
            each for each in (*self.workloads,
                              *self._of_role(names.ROLE_SANDBOX))
            if each not in (self.workload, self.sandbox))

    def _of_role(self, role: str) -> tuple[model.ContainerSummary, ...]:
        return tuple(each for each in self.containers
                     if each.labels.get(names.LABEL_ROLE) == role)


@dataclasses.dataclass(frozen=True)
class _Listing:
    """All servers of this host as they were, at the earliest, at a time."""

    begun: float = float('-inf')
    servers: dict[str, Server] = dataclasses.field(default_factory=dict)


class Inventory:
    """Containers of this host; the engine knows, nothing is owned here."""

    def __init__(self, engine: client.DockerClient, host: hostops.HostOps):
        self._client = engine
        self._host = host
        self._lock = threading.Lock()
        self._listing = _Listing()
        self._flight: futures.Future[_Listing] | None = None
        # When a verb last changed a server, by uuid.
        self._changed: dict[str, float] = {}

    def server(self, instance: 'objects.Instance',
               use_cache: bool = False) -> Server:
        """The server's containers, without any if it has none.

        :param use_cache: a list of all servers that is a few seconds old
            will do, though never one from before a verb of ours
        """
        known = self._known(instance.uuid) if use_cache else None
        return known or Server(instance.uuid, tuple(
            self._client.list_containers(self.labels(instance))))

    def servers(self) -> dict[str, Server]:
        """All servers of this host by uuid, in one call."""
        found: dict[str, list[model.ContainerSummary]] = {}
        for row in self._client.list_containers(
                {names.LABEL_HOST: self._host.name}):
            if names.LABEL_UUID in row.labels:
                found.setdefault(row.labels[names.LABEL_UUID], []).append(row)
        return {uuid: Server(uuid, tuple(rows))
                for uuid, rows in found.items()}

    @contextlib.contextmanager
    def changing(self, instance: 'objects.Instance') -> Iterator[None]:
        """A verb that changes the server, whatever comes of it."""
        try:
            yield
        finally:
            with self._lock:
                self._changed[instance.uuid] = time.monotonic()

    def labels(self, instance: 'objects.Instance') -> dict[str, str]:
        """What the server's containers carry here, and images of them."""
        return {names.LABEL_HOST: self._host.name,
                names.LABEL_UUID: instance.uuid}

    def _known(self, uuid: str) -> Server | None:
        """None where the cached list cannot tell."""
        listing = self._recent_listing()
        with self._lock:
            changed = self._changed.get(uuid, float('-inf'))
        return listing.servers.get(uuid) if changed < listing.begun else None

    def _recent_listing(self) -> _Listing:
        """One call, however many ask for it at once; all see it fail."""
        with self._lock:
            age_s = time.monotonic() - self._listing.begun
            if age_s <= _LISTING_LIFETIME_S:
                return self._listing
            flight, mine = self._flight, self._flight is None
            if flight is None:
                flight = self._flight = futures.Future()
        if mine:
            self._list_for(flight)
        return flight.result()

    def _list_for(self, flight: 'futures.Future[_Listing]') -> None:
        begun = time.monotonic()
        try:
            listing = _Listing(begun, self.servers())
        except BaseException as err:
            self._land(flight, self._listing)
            flight.set_exception(err)
            return
        self._land(flight, listing)
        flight.set_result(listing)

    def _land(self, flight: 'futures.Future[_Listing]',
              listing: _Listing) -> None:
        with self._lock:
            self._flight = None
            self._listing = listing
            self._changed = {uuid: at for uuid, at in self._changed.items()
                             if at >= listing.begun}
