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

"""What the arguments of a privileged operation may look like."""

from collections.abc import Sequence
import re

# The two spellings of a namespace that rootwrap's filters allow. An engine
# that keeps its run-time files elsewhere is reached through /proc.
NETNS_PATH = re.compile(
    r'(?:/var)?/run/[a-z0-9][a-z0-9_.-]*/netns/[0-9a-f]{12}'
    r'|/proc/[1-9][0-9]*/ns/net')
NETNS_LINK = re.compile(
    r'/var/run/netns/nova-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
HOST_NAME = re.compile(r'tap[0-9a-f-]{11}')
HYBRID_BRIDGE = re.compile(r'qbr[0-9a-f-]{11}')
GUEST_NAME = re.compile(r'eth[0-9]{1,4}')
DEVICE = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}')
MAC = re.compile(r'[0-9a-f]{2}(?::[0-9a-f]{2}){5}')
ENGINE_FILE = re.compile(
    r'/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)+containers/[0-9a-f]{64}/'
    r'(?:resolv\.conf|hosts)')
# Host names come from the names that users give to servers, in any script.
DOMAIN = re.compile(r'\w(?:[\w.-]{0,253}\w)?')


def check(pattern: re.Pattern[str], value: object) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError('refused: %r' % value)


def joined_names(names: Sequence[str]) -> str:
    for name in names:
        check(DOMAIN, name)
    return ' '.join(names)
