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

"""python -m benchmarks [spawn] [load] [snapshot] [--mib 100 1024]"""

import argparse
import sys

# Chooses how Nova runs threads, which comes before all else of it.
import tests  # noqa: F401

from benchmarks import images
from benchmarks import spawn
from benchmarks import stages

BENCHMARKS = {'spawn': spawn.spawn, 'load': images.load,
              'snapshot': images.snapshot, 'stages': stages.stages}


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks')
    # choices= would refuse the empty list that means all.
    parser.add_argument('names', nargs='*', metavar='name',
                        help='of %s; all by default' % ', '.join(BENCHMARKS))
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--mib', type=int, nargs='+', default=[100, 1024],
                        help='image sizes in MiB')
    options = parser.parse_args()
    missed = 0
    for name in options.names or BENCHMARKS:
        for line in BENCHMARKS[name](options):
            print(line, flush=True)
            missed += line.missed
    return min(missed, 1)


if __name__ == '__main__':
    sys.exit(main())
