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

hashlib lets go of the interpreter while it works, so a thread hashes one
batch while the stream already carries the next.
"""

from concurrent import futures
import hashlib

# Large enough to make handing over cheap, small beside the memory limit.
_BATCH_BYTES = 1024 * 1024
_POOL = futures.ThreadPoolExecutor(
    max_workers=8, thread_name_prefix='novadocker-digest')


class Digest:
    """As a hashlib object; at most two batches are in memory.

    An abandoned digest leaves no thread waiting.

    :param algorithm: as ``hashlib.new`` names it
    """

    def __init__(self, algorithm: str):
        self._digest = hashlib.new(algorithm)
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._hashing: futures.Future | None = None

    def update(self, block: bytes) -> None:
        self._batch.append(block)
        self._batch_bytes += len(block)
        if self._batch_bytes >= _BATCH_BYTES:
            self._hand_over()

    def hexdigest(self) -> str:
        """Of all blocks so far."""
        self._hand_over()
        self._wait()
        return self._digest.hexdigest()

    def _hand_over(self) -> None:
        self._wait()
        self._hashing = _POOL.submit(_update, self._digest, self._batch)
        self._batch = []
        self._batch_bytes = 0

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.result()


def _update(digest, batch: list[bytes]) -> None:
    for block in batch:
        digest.update(block)
