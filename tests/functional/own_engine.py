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


"""A real engine of the test's own, to be stopped, killed and replaced.

It lives in a network namespace of its own, as an engine without a bridge
takes the bridge away from another one in the same namespace. Its data, its
sockets and its containerd are its own, too; nothing of it is left.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import uuid

import fixtures
import psutil

from novadocker.virt.docker.engine import client
from novadocker.virt.docker.engine import exception
from tests.functional import engine
from tests.functional import waiting

# Of a machine that is busy with other work.
_PATIENCE_S = 120


class OwnEngine(fixtures.Fixture):
    """``url`` and ``client`` of an engine that runs, and an ``image``.

    :param client_arguments: further arguments of DockerClient

    ``image`` is a tag, and its default command a shell.
    """

    def __init__(self, **client_arguments):
        super().__init__()
        self._client_arguments = client_arguments
        self._process: subprocess.Popen | None = None

    def setUp(self):
        engine.skip_without_engine()
        super().setUp()

    def _setUp(self):
        self._directory = self.useFixture(fixtures.TempDir()).path
        self.url = 'unix://%s/socket' % self._directory
        self.addCleanup(self._unmount)
        self.addCleanup(self._end_leftovers)
        self.addCleanup(self.stop)
        self.start()
        self.client = client.DockerClient(self.url, **self._client_arguments)
        self.addCleanup(self.client.close)
        self.image = '%s/%s:1' % (engine.NAMESPACE, uuid.uuid4().hex)
        with self._patient() as patient:
            patient.import_image(engine.busybox(), self.image,
                                 changes=['CMD ["sh"]'])
        self.addCleanup(self._remove_containers)
        self.addCleanup(self.thaw)

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers.

        :raises: AssertionError with the end of its log
        """
        settings = self._path('daemon.json')
        settings.write_text('{}')
        with open(self._path('log'), 'ab') as log:
            self._process = subprocess.Popen(
                ['unshare', '--net', 'dockerd',
                 # Not the machine's.
                 '--config-file', settings,
                 '--bridge=none', '--iptables=false', '--ip6tables=false',
                 '--data-root', self._path('data'),
                 '--exec-root', self._path('exec'),
                 '--pidfile', self._path('pid'), '--host', self.url],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                # An interrupted test run ends it by its cleanup.
                start_new_session=True)
        try:
            waiting.until(self._answers, 'the engine answers', _PATIENCE_S)
        except AssertionError as err:
            end = self._path('log').read_text(errors='replace')[-2000:]
            raise AssertionError('%s\n%s' % (err, end)) from err

    def stop(self) -> None:
        """End it and its containers, by force if it does not obey."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Hang: connections are taken, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        waiting.until(lambda: self._state() == psutil.STATUS_STOPPED,
                      'the engine is stopped')

    def thaw(self) -> None:
        """Go on where it was; harmless if it runs."""
        self._process.send_signal(signal.SIGCONT)
        waiting.until(self._answers, 'the engine answers again', _PATIENCE_S)

    def _state(self) -> str:
        return psutil.Process(self._process.pid).status()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError('the engine ended with code %d' %
                                 self._process.returncode)
        try:
            with self._patient() as patient:
                patient.info()
        except exception.EngineUnavailable:
            return False
        return True

    def _patient(self) -> contextlib.closing[client.DockerClient]:
        return contextlib.closing(client.DockerClient(
            self.url, timeout_s=_PATIENCE_S))

    def _remove_containers(self) -> None:
        with self._patient() as patient:
            for container in patient.list_containers({}):
                patient.remove(container.id)

    def _end_leftovers(self) -> None:
        """What a killed engine leaves names our directory."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(self._directory in word
                       for word in process.cmdline()):
                    process.kill()
                    process.wait(_PATIENCE_S)

    def _unmount(self) -> None:
        """The engine leaves its data mounted on itself."""
        with open('/proc/self/mounts') as mounts:
            points = [line.split()[1] for line in mounts]
        for point in reversed(points):
            if point.startswith(self._directory + os.sep):
                subprocess.run(['umount', '--lazy', point], check=True)

    def _path(self, name: str) -> pathlib.Path:
        return pathlib.Path(self._directory, name)
