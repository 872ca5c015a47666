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

"""What the sanitiser says when it refuses an archive."""

from collections.abc import Mapping

from novadocker.i18n import _


class ArchiveError(Exception):
    """An archive is refused; the message is written for its owner."""


class ReadAgain(ArchiveError):
    """The archive is sound, but has to be read once more to be loaded.

    :ivar sizes: to be given to the second reading
    """

    def __init__(self, sizes: Mapping[str, int]):
        super().__init__(_('the archive has to be read twice'))
        self.sizes = sizes


def refusal(reason: str) -> ArchiveError:
    return ArchiveError(reason)


def shown(name: bytes | str) -> str:
    """A name the image's author chose, made fit for a message."""
    if isinstance(name, bytes):
        name = name.decode('utf-8', 'backslashreplace')
    printable = name if name.isprintable() else ascii(name)[1:-1]
    return '"%s"' % (printable if len(printable) <= 100
                     else printable[:97] + '...')
