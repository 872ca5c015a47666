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

"""The names of a layer that were seen already, in little memory."""

import array
import bisect

_MOST_RECENT = 65_536


class Seen:
    """Names as 64-bit hashes: 8 bytes each, and the recent ones a set.

    Two names that share a hash would be taken for one; hashes are salted, so
    nobody can make such names, and chance makes none.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: list[array.array[int]] = []

    def __contains__(self, name: bytes) -> bool:
        return self._holds(hash(name))

    def add(self, name: bytes) -> bool:
        """Whether it is new."""
        key = hash(name)
        if self._holds(key):
            return False
        self._recent.add(key)
        if len(self._recent) >= _MOST_RECENT:
            self._older.append(array.array('q', sorted(self._recent)))
            self._recent.clear()
        return True

    def _holds(self, key: int) -> bool:
        if key in self._recent:
            return True
        for keys in self._older:
            index = bisect.bisect_left(keys, key)
            if index < len(keys) and keys[index] == key:
                return True
        return False
