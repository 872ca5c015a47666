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

"""The door to Docker Engine: nothing else of the driver speaks to it.

``client`` has the verbs, ``connection`` carries them, ``wire`` turns the
engine's JSON into the values of ``model``, ``exception`` is what may go
wrong, ``outage`` finds out why an engine cannot be reached. ``policy`` is what
we make of an engine's ways, ``turns`` are locks around calls.
"""
