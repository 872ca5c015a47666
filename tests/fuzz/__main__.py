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

"""Fuzz the sanitiser for a while, or try files that a fuzzer has left.

    python -m tests.fuzz                        for a minute
    python -m tests.fuzz --seconds 3600 --seed 7
    python -m tests.fuzz crash-0123abc          what is it about this file?
"""

import argparse
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

from tests.data import archives
from tests.fakes import archives as file_systems
from tests import honest

# Large archives take the fuzzer's time and teach it nothing.
_LARGEST = 96 * 1024
# A decoder has 32 MiB, Python and the corpora the rest.
_MEMORY_MIB = 512
# By the clock, on a machine that may be busy with other work.
_HANGS_S = 120
# What means something in names, extended headers and documents.
_WORDS = (
    '../', './', '/dev', '/etc/passwd', '/etc/group', '.wh.', '.wh..wh..opq',
    'ustar\\x0000', 'ustar  \\x00', ' path=', ' linkpath=', ' size=',
    ' GNU.sparse.major=', ' SCHILY.xattr.trusted.overlay.', ' uid=',
    'manifest.json', 'index.json', 'blobs/sha256/', 'sha256:', '\\x80',
    *('\\"%s\\":' % key for key in (
        'Config', 'Layers', 'RepoTags', 'rootfs', 'diff_ids', 'type',
        'config', 'layers', 'manifests', 'schemaVersion', 'mediaType',
        'digest', 'platform', 'architecture', 'os', 'variant', 'annotations',
        'Env', 'Labels', 'Volumes', 'ExposedPorts', 'Healthcheck', 'User',
        'history', 'created', 'empty_layer')),
    'null', 'true', '[[', '{}', '1e999', '-1', '\\xff\\xfe', '\\\\u0000',
    'org.openstack.nova.')
# Fewer tell that the fuzzer did not get into the sanitiser at all.
_LEAST_RUNS = 500
_LEAST_COVERAGE = 300


def seeds():
    """Both corpora, by name."""
    for case in honest.CASES.values():
        yield case.name, case.build(file_systems.PLACEHOLDER)[0]
    for case in archives.everything():
        yield 'data-' + case.name, case.build()


def write_seeds(directory: pathlib.Path) -> None:
    for name, data in seeds():
        if len(data) <= _LARGEST:
            (directory / name).write_bytes(data)


def write_words(path: pathlib.Path) -> None:
    """A dictionary as libFuzzer reads it."""
    path.write_text(''.join('"%s"\n' % word for word in _WORDS))


def target(*arguments) -> list[str]:
    return [sys.executable, '-m', 'tests.fuzz.target', *map(str, arguments)]


def fuzz(seconds: int, seed: int, left: pathlib.Path) -> int:
    """Fuzz; what breaks the sanitiser is in ``left`` afterwards."""
    left.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='novadocker-fuzz-') as top:
        found, given = pathlib.Path(top, 'found'), pathlib.Path(top, 'given')
        found.mkdir()
        given.mkdir()
        write_seeds(given)
        write_words(pathlib.Path(top, 'words'))
        done = subprocess.run(
            target('-max_total_time=%d' % seconds, '-seed=%d' % seed,
                   '-max_len=%d' % _LARGEST, '-timeout=%d' % _HANGS_S,
                   '-report_slow_units=%d' % _HANGS_S,
                   '-dict=%s' % pathlib.Path(top, 'words'),
                   '-rss_limit_mb=%d' % _MEMORY_MIB, '-reload=0',
                   '-print_final_stats=1', '-verbosity=1',
                   '-artifact_prefix=%s/' % left, found, given),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return _judged(done, left)


def _judged(done: subprocess.CompletedProcess, left: pathlib.Path) -> int:
    print(done.stdout[-4000:])
    if done.returncode:
        print('FAIL: tests.fuzz; the input is in %s, try it again with '
              '"python -m tests.fuzz FILE"' % left)
        return 1
    runs = _number(r'^Done (\d+) runs', done.stdout)
    coverage = _number(r'DONE +cov: (\d+)', done.stdout)
    if runs < _LEAST_RUNS or coverage < _LEAST_COVERAGE:
        print('FAIL: tests.fuzz; %d runs that reach %d places are too few '
              'to tell anything' % (runs, coverage))
        return 1
    print('%d archives, %d places reached' % (runs, coverage))
    return 0


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text, re.MULTILINE)
    return int(match[1]) if match else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.fuzz', description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--left', type=pathlib.Path, metavar='DIRECTORY',
                        default=pathlib.Path('.fuzz'),
                        help='for what breaks the sanitiser')
    parser.add_argument('files', nargs='*', type=pathlib.Path)
    options = parser.parse_args()
    if importlib.util.find_spec('atheris') is None:
        print('FAIL: tests.fuzz; atheris is not installed, see '
              'test-requirements.txt')
        return 1
    if options.files:
        return subprocess.run(target(*options.files)).returncode
    return fuzz(options.seconds, options.seed, options.left)


if __name__ == '__main__':
    sys.exit(main())
