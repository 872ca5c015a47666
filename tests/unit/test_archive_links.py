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

"""Links of any kind, against a model of how an engine unpacks and opens.

Whatever of a few thousand random images would let the engine open a harmful
file as /etc/passwd, or mount on a link, has to be refused.
"""

import itertools
import random

import testtools

from novadocker import archive
from novadocker.archive import layers
from novadocker.archive import tar
from novadocker.archive import userfiles

KINDS = {'directory': tar.DIRECTORY, 'link': tar.SYMLINK, 'huge': tar.FILE,
         'hard link': tar.HARD_LINK}
DIRECTORIES = ('etc', 'a')
NAMES = ('passwd', 'x', 'a', 'etc', 'dev')
IMAGES = 12_000


class Broken(Exception):
    """The engine refuses such a layer, or finds no such file."""


def opened(root, path, follow=True):
    """What a path leads to; directories are dicts, a link its target."""
    passed, steps = [root], path.split('/')
    for _hop in range(100):
        if not steps:
            return passed[-1]
        step = steps.pop(0)
        if not isinstance(passed[-1], dict):
            raise Broken
        if step == '..':
            passed = passed[:-1] or passed
        elif step not in ('', '.'):
            found = passed[-1].get(step)
            if found is None:
                raise Broken
            if isinstance(found, str) and (steps or follow):
                passed = [root] if found.startswith('/') else passed
                steps = found.split('/') + steps
            else:
                passed.append(found)
    raise Broken


def unpacked(members):
    root = {}
    for kind, name, target in members:
        parent, _slash, last = name.rpartition('/')
        directory = made(root, parent)
        if not (kind == 'directory' and
                isinstance(directory.get(last), dict)):
            directory[last] = {
                'directory': dict, 'link': lambda: target,
                'huge': lambda: 0,
                'hard link': lambda: opened(root, target, follow=False),
            }[kind]()
        if kind == 'hard link' and isinstance(directory[last], dict):
            raise Broken
    return root


def made(root, path):
    """A directory, with those above it that are missing."""
    directory = root
    for step in itertools.accumulate(path.split('/'), '{}/{}'.format):
        try:
            found = opened(root, step)
        except Broken:
            last = step.rpartition('/')[2]
            if last in directory:
                raise
            found = directory.setdefault(last, {}) if last else root
        if not isinstance(found, dict):
            raise Broken
        directory = found
    return directory


def stacked(lower, upper):
    both = {**lower, **upper}
    for name in set(lower) & set(upper):
        if isinstance(lower[name], dict) and isinstance(upper[name], dict):
            both[name] = stacked(lower[name], upper[name])
    return both


def harms(image):
    root = {}
    for members in image:
        root = stacked(root, unpacked(members))
    if isinstance(root.get('dev'), str):
        return True
    try:
        return opened(root, 'etc/passwd') == 0
    except Broken:
        return False


def scan(image):
    user_files = userfiles.UserFiles()
    budget = layers.Budget(1 << 40, 1 << 40)
    for members in image:
        layer = layers.LayerScan('x', budget, user_files)
        for kind, name, target in members:
            layer._check(tar.Header(
                name.encode(), target.encode(), KINDS[kind],
                userfiles.LARGEST + 1 if kind == 'huge' else 0))
    user_files.check()


class Images:
    """Random, but the same ones every time."""

    def __init__(self):
        self._random = random.Random(0)

    def path(self, directories=DIRECTORIES, names=NAMES):
        choose = self._random.choice
        parts = [choose(directories) for _part in range(choose(
            (0, 1, 1, 1, 2)))]
        return '/'.join([*parts, choose(names)])

    def target(self, kind):
        if kind == 'hard link':
            return self.path()
        return self._random.choice(('', '/')) + self.path(
            (*DIRECTORIES, '..', '..', '.'), (*NAMES, '..', '.'))

    def image(self):
        def member():
            kind = self._random.choice([*KINDS, 'link', 'link'])
            return kind, self.path(), self.target(kind)
        return [list({one[1]: one for one in (
            member() for _member in range(self._random.randint(2, 6)))
        }.values()) for _layer in range(self._random.randint(1, 2))]


class LinksTest(testtools.TestCase):

    def test_whatever_harms_is_refused(self):
        images, harmful = Images(), 0
        for _image in range(IMAGES):
            image = images.image()
            try:
                if not harms(image):
                    continue
            except Broken:
                continue
            harmful += 1
            self.assertRaises(archive.ArchiveError, scan, image)
        self.assertGreater(harmful, IMAGES // 100)
