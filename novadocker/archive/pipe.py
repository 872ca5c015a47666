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

"""A function that writes to a file, turned into an iterator of what it wrote.

Nova verifies an image's signature only while it writes the image to a file
object; the engine reads. A thread and a short queue stand between the two.
"""

from collections.abc import Callable
from collections.abc import Iterator
import queue
import threading
import typing

# Glance's blocks have 64 KiB to 1 MiB, so that a few are bounded memory.
_BLOCKS = 16
_POLL_S = 0.1
_END = object()


class _ReaderGone(Exception):
    """Ends the writer, whose output nobody wants any more."""


class _Writer:
    """The file object that the function writes to."""

    def __init__(self) -> None:
        self.blocks: queue.Queue[typing.Any] = queue.Queue(_BLOCKS)
        self.closed = threading.Event()

    def write(self, block: object) -> None:
        while not self.closed.is_set():
            try:
                return self.blocks.put(block, timeout=_POLL_S)
            except queue.Full:
                continue
        raise _ReaderGone

    def truncate(self, _size: int) -> None:
        """Whoever wrote in vain takes it back before raising the reason.

        What was read stays read; the reader gets the error.
        """


def written_by(function: Callable[['_Writer'], object]) -> Iterator[bytes]:
    """Yield what ``function(file)`` writes; end when it returns.

    What the function raises is raised here, after the blocks before it.
    Closing the generator early ends the function at its next write.
    """
    writer = _Writer()
    thread = threading.Thread(
        target=_run, args=(function, writer), name='novadocker-pipe',
        daemon=True)
    thread.start()
    try:
        while True:
            block = writer.blocks.get()
            if block is _END:
                return
            if isinstance(block, Exception):
                raise block
            yield block
    finally:
        writer.closed.set()
        thread.join()


def _run(function: Callable[['_Writer'], object], writer: _Writer) -> None:
    end: object = _END
    try:
        function(writer)
    except _ReaderGone:
        return
    except Exception as err:
        end = err
    try:
        writer.write(end)
    except _ReaderGone:
        return
