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

"""The image sanitiser: an archive from anyone, made safe to load.

A library of its own, bytes to bytes: it knows neither Nova nor an engine.
``sanitise`` is the one way in.
"""

from novadocker.archive.contents import Limits
from novadocker.archive.imageconfig import Rules
from novadocker.archive.rewriter import sanitise
from novadocker.archive.words import ArchiveError
from novadocker.archive.words import ReadAgain

__all__ = ('ArchiveError', 'Limits', 'ReadAgain', 'Rules', 'sanitise')
