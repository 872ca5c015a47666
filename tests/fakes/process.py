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


"""What the processes of the fake engine do with their time.

Enough of busybox to let tests say what they mean with a command line. A shell
script that is not understood raises Unsupported, which fails the test that
ran it: ``Engine.program`` then tells what the command shall do.
"""

import dataclasses
import os
import shlex

STDOUT = 1
STDERR = 2

# An exit code by signal is 128 + its number.
KILLED = 137
TERMINATED = 143


class Unsupported(Exception):
    """The fake does not know; the test that asked has to fail."""


@dataclasses.dataclass
class Program:
    """The life of a process, in seconds since its start.

    ``exit_code`` None means that it runs until someone ends it, and
    ``term_exit_code`` None that it ignores the stop signal, as a first
    process without a handler does. ``hole_bytes`` are those of the sparse
    files that it makes at once.
    """

    output: list[tuple[float, int, bytes]] = dataclasses.field(
        default_factory=list)
    exit_code: int | None = None
    after_s: float = 0
    term_exit_code: int | None = None
    hole_bytes: int = 0


def interpret(argv: list[str], stdin_open: bool) -> Program:
    """Say what a command line does."""
    command = os.path.basename(argv[0])
    if command in ('sh', 'bash') and argv[1:2] == ['-c']:
        return _Script(argv[2]).run()
    if command in ('sh', 'bash', 'cat') and len(argv) == 1:
        return Program(exit_code=None if stdin_open else 0)
    if command in ('sleep', 'true', 'false', *_WRITERS):
        return _Script(shlex.join(argv)).run()
    return Program()


class _Script:
    """A shell script as a list of statements, run without waiting."""

    def __init__(self, text: str):
        words = shlex.shlex(text.replace('\n', ';'), posix=True,
                            punctuation_chars=';&|<>')
        words.whitespace_split = True
        self._statements: list[list[str]] = [[]]
        for word in words:
            if word in (';', '&&'):
                self._statements.append([])
            else:
                self._statements[-1].append(word)
        self._program = Program()
        self._status = 0

    def run(self) -> Program:
        for words in filter(None, self._statements):
            if words[:2] == ['while', ':']:
                return self._program
            if words[0] == 'exit':
                self._status = int(words[1])
                break
            self._execute(words[1:] if words[0] == 'exec' else words)
        self._program.exit_code = self._status
        return self._program

    def _execute(self, words: list[str]) -> None:
        stream = STDOUT
        if words[-2:] == ['>&', '2']:
            words, stream = words[:-2], STDERR
        name, *arguments = words
        self._status = int(name == 'false')
        if name == 'sleep':
            self._program.after_s += float(arguments[0])
        elif name == 'trap' and arguments[1:] == ['TERM']:
            handler = _Script(arguments[0]).run()
            self._program.term_exit_code = handler.exit_code
        elif name in _WRITERS:
            data = _WRITERS[name](*arguments).encode()
            self._program.output.append(
                (self._program.after_s, stream, data))
        elif name == 'truncate':
            self._program.hole_bytes += int(arguments[1])
        elif name not in ('true', 'false', 'ln'):
            raise Unsupported('shell command: %s' % shlex.join(words))


def _seq(first: str, last: str) -> str:
    return ''.join('%d\n' % n for n in range(int(first), int(last) + 1))


_WRITERS = {
    'echo': lambda *words: ' '.join(words) + '\n',
    'printf': lambda text: text.replace('\\n', '\n'),
    'seq': _seq,
}
