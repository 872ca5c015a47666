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

"""Pulling an image without keeping the rest of the stack waiting."""

import threading
import time

from heat.common.i18n import _
from oslo_log import log as logging

from heat_docker import client
from heat_docker import exception

LOG = logging.getLogger(__name__)


class Pull:
    """One pull, in a thread of its own with a connection of its own.

    :param silence_s: an engine that says nothing for so long has failed
    """

    def __init__(self, engine: client.Engine, image: str, silence_s: float):
        self._engine = engine
        self._image = image
        self._silence_s = silence_s
        self._heard = time.monotonic()
        self._cancelled = threading.Event()
        self._error: str | None = None
        # A daemon: an engine that hangs must not keep heat-engine from
        # stopping.
        self._thread = threading.Thread(
            target=self._run, name='docker-pull', daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """:raises: PullFailed"""
        running = self._thread.is_alive()
        if running and time.monotonic() - self._heard > self._silence_s:
            self.cancel()
            self._error = _('no progress for %d seconds') % self._silence_s
        if self._error is not None:
            raise exception.PullFailed(image=self._image, reason=self._error)
        return not running

    def cancel(self) -> None:
        """Hang up with the next message; the engine then stops pulling."""
        self._cancelled.set()

    def _run(self) -> None:
        try:
            with self._engine as engine:
                self._read(engine)
        except exception.EngineError as err:
            self._error = str(err)
        except Exception:
            LOG.exception('Pull of %s', self._image)
            self._error = _('unexpected error; see the log of heat-engine')

    def _read(self, engine: client.Engine) -> None:
        for error in engine.pull(self._image):
            self._heard = time.monotonic()
            if error:
                self._error = error
            if error or self._cancelled.is_set():
                return
