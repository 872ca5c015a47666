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

"""Digests computed beside the stream that they are taken of.

hashlib lets go of the interpreter while it works, so a thread hashes some
batches while the stream already carries the next ones.
"""

import collections
from concurrent import futures
import hashlib
import threading

_Batch = list[bytes | memoryview]
# Large enough to make handing over cheap, small beside the memory limit.
_BATCH_BYTES = 1024 * 1024
# A stream that waits for every batch leaves a core idle meanwhile.
_MOST_WAITING = 2
_POOL = futures.ThreadPoolExecutor(
    max_workers=8, thread_name_prefix='novadocker-digest')


class Digest:
    """As a hashlib object; at most four batches are in memory.

    An abandoned digest leaves no thread waiting.

    :param algorithm: as ``hashlib.new`` names it
    """

    def __init__(self, algorithm: str):
        self._digest = hashlib.new(algorithm)
        self._batch: _Batch = []
        self._batch_bytes = 0
        self._room = threading.Semaphore(_MOST_WAITING)
        self._lock = threading.Lock()
        # Both under the lock; a thread hashes until none is waiting.
        self._waiting: collections.deque[_Batch] = collections.deque()
        self._hashing: futures.Future[None] | None = None

    def update(self, block: bytes | memoryview) -> None:
        self._batch.append(block)
        self._batch_bytes += len(block)
        if self._batch_bytes >= _BATCH_BYTES:
            self._hand_over()

    def hexdigest(self) -> str:
        """Of all blocks so far."""
        self._hand_over()
        with self._lock:
            hashing = self._hashing
        if hashing is not None:
            hashing.result()
        return self._digest.hexdigest()

    def _hand_over(self) -> None:
        self._room.acquire()
        with self._lock:
            self._waiting.append(self._batch)
            if self._hashing is None:
                self._hashing = _POOL.submit(self._hash_waiting)
        self._batch = []
        self._batch_bytes = 0

    def _hash_waiting(self) -> None:
        while (batch := self._next_batch()) is not None:
            for block in batch:
                self._digest.update(block)

    def _next_batch(self) -> _Batch | None:
        with self._lock:
            if not self._waiting:
                self._hashing = None
                return None
            self._room.release()
            return self._waiting.popleft()
