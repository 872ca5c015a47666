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

"""What an engine of our own puts into the host's network: docker0 and rules.

An engine leaves them behind when it ends. They are taken away if they were
not there before.
"""

import os
import pathlib
import shlex

from quickstart import shell

NAME = 'docker0'
# What the names of the engine's chains begin with.
_CHAINS = 'DOCKER'
_TABLES = ('filter', 'nat')


def remember(settings) -> None:
    """Note, before the engine starts, that the host has no docker0."""
    if is_ours(settings) or _bridge_exists():
        return
    settings.state.mkdir(parents=True, exist_ok=True)
    _record(settings).write_text(''.join(
        line + '\n' for line in _saved(settings, 'filter')
        if line.startswith(':FORWARD ')))


def is_ours(settings) -> bool:
    """Whether docker0 and its rules go when the engine does."""
    return _record(settings).exists()


def remove(settings) -> None:
    """Undo what the engine did since ``remember``; harmless to repeat."""
    if not is_ours(settings):
        return
    for table in _TABLES:
        _remove_rules(settings, table)
    policy = _record(settings).read_text().split()
    if policy:
        _iptables(settings, 'filter', '--policy', 'FORWARD', policy[1])
    if _bridge_exists():
        shell.run(settings, ('ip', 'link', 'delete', NAME), 'down')
    _record(settings).unlink()


def _remove_rules(settings, table) -> None:
    """First the rules that lead to the engine's chains, then those."""
    saved = _saved(settings, table)
    chains = [line[1:].split()[0] for line in saved
              if line.startswith(':' + _CHAINS)]
    for line in saved:
        words = shlex.split(line)
        if words[0] == '-A' and {NAME, *chains} & set(words):
            _iptables(settings, table, '-D', *words[1:])
    for chain in chains:
        _iptables(settings, table, '--delete-chain', chain)


def _saved(settings, table) -> list[str]:
    return [line for line in shell.output(
        settings, ('iptables-save', '--table', table), check=False
    ).splitlines() if line]


def _iptables(settings, table, *words) -> None:
    shell.run(settings, ('iptables', '--wait', '--table', table, *words),
              'down')


def _record(settings) -> pathlib.Path:
    return settings.state / 'forward-policy-before-engine'


def _bridge_exists() -> bool:
    return os.path.exists('/sys/class/net/' + NAME)
