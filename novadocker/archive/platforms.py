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

"""Which images a machine can run, and which of several it should."""

_SPELLINGS = {'x86_64': 'amd64', 'x86-64': 'amd64', 'aarch64': 'arm64',
              'armv5l': 'arm', 'armv6l': 'arm', 'armv7l': 'arm',
              'armv8l': 'arm', 'i386': '386', 'i486': '386', 'i586': '386',
              'i686': '386'}
# What a 64-bit processor runs besides its own, as engines have it.
_RUNS_TOO = {'amd64': '386', 'arm64': 'arm'}


def machine(name: str) -> str:
    """A processor architecture in the spelling of images (Go's)."""
    return _SPELLINGS.get(name.lower(), name.lower())


def runnable(host: str) -> tuple[str, ...]:
    """The architectures that a host runs, its own first."""
    own = machine(host)
    return (own, _RUNS_TOO[own]) if own in _RUNS_TOO else (own,)


def rank(architecture: str, variant: str, host: str) -> tuple[int, int]:
    """The lower, the better the image suits the host, which can run it.

    The host's own architecture goes first. Of its levels (amd64/v2,
    arm64/v9) the lowest does, as its image runs on every host that the
    server may be moved to. Of the 32-bit arm ones the highest does, as a
    host of that kind is told to run what is best for v7; lower ones are for
    boards that no cloud has.
    """
    own = machine(architecture)
    level = _level(own, variant)
    return (runnable(host).index(own), -level if own == 'arm' else level)


def _level(architecture: str, variant: str) -> int:
    digits = variant.removeprefix('v').partition('.')[0]
    if digits.isascii() and digits.isdecimal() and len(digits) < 4:
        return int(digits)
    # Not stated: the base of the architecture.
    return {'amd64': 1, 'arm64': 8, 'arm': 7}.get(architecture, 0)
