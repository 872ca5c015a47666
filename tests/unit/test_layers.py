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

"""Which module may import which, and who holds the keys to which door.

A new module fails here until it has a place: the first row below all that
it imports.
"""

import ast
import pathlib

import testtools

import novadocker

ROOT = pathlib.Path(novadocker.__file__).parent

# Lowest first; a module imports from rows above its own only.
ROWS = (
    ('novadocker', 'novadocker.virt', 'novadocker.i18n'),
    # The image sanitiser, a library of its own.
    ('novadocker.archive.words', 'novadocker.archive.digests',
     'novadocker.archive.pipe', 'novadocker.archive.platforms',
     'novadocker.archive.seen'),
    ('novadocker.archive.documents', 'novadocker.archive.tar'),
    ('novadocker.archive.compression', 'novadocker.archive.imageconfig',
     'novadocker.archive.userfiles'),
    ('novadocker.archive.layers', 'novadocker.archive.manifests'),
    ('novadocker.archive.copies',),
    ('novadocker.archive.contents',),
    ('novadocker.archive.rewriter',),
    ('novadocker.archive',),
    # Root.
    ('novadocker.privileged', 'novadocker.privileged.checks',
     'novadocker.privileged.netlink'),
    ('novadocker.privileged.files', 'novadocker.privileged.namespaces',
     'novadocker.privileged.netns_links'),
    ('novadocker.privileged.addresses', 'novadocker.privileged.veth'),
    ('novadocker.privileged.routes',),
    ('novadocker.privileged.interfaces',),
    # What every room of the driver may use.
    ('novadocker.conf', 'novadocker.extra_specs',
     'novadocker.virt.docker.names', 'novadocker.virt.docker.rollback'),
    # The door to the engine.
    ('novadocker.virt.docker.engine',
     'novadocker.virt.docker.engine.exception',
     'novadocker.virt.docker.engine.model'),
    ('novadocker.virt.docker.engine.outage',
     'novadocker.virt.docker.engine.turns',
     'novadocker.virt.docker.engine.wire'),
    ('novadocker.virt.docker.engine.connection',),
    ('novadocker.virt.docker.engine.client',),
    ('novadocker.virt.docker.engine.policy',),
    # The rooms.
    ('novadocker.virt.docker.limits', 'novadocker.virt.docker.netconfig',
     'novadocker.virt.docker.pause', 'novadocker.virt.docker.process',
     'novadocker.virt.docker.seccomp', 'novadocker.virt.docker.switch'),
    ('novadocker.virt.docker.spec',),
    ('novadocker.virt.docker.hostops', 'novadocker.virt.docker.imagestore',
     'novadocker.virt.docker.imagevolumes',
     'novadocker.virt.docker.metadataops',
     'novadocker.virt.docker.networkops'),
    ('novadocker.virt.docker.disksize',
     'novadocker.virt.docker.imageproperties',
     'novadocker.virt.docker.inventory'),
    ('novadocker.virt.docker.recovery',
     'novadocker.virt.docker.sandboxops'),
    ('novadocker.virt.docker.buildfaults', 'novadocker.virt.docker.imageops',
     'novadocker.virt.docker.snapshotops'),
    ('novadocker.virt.docker.containerops',),
    ('novadocker.virt.docker.driver',),
    # The name in nova.conf; nothing of novadocker asks for it.
    ('novadocker.virt.docker',),
)
LEVELS = {name: level for level, row in enumerate(ROWS) for name in row}

PACKAGES = ('novadocker.virt.docker', 'novadocker.virt.docker.engine',
            'novadocker.archive', 'novadocker.privileged')

# Imported, in all of novadocker, by these modules alone.
DOORS = {
    'urllib3': {'novadocker.virt.docker.engine.connection',
                'novadocker.virt.docker.engine.outage'},
    'novadocker.virt.docker.engine.connection': {
        'novadocker.virt.docker.engine.client'},
    'novadocker.virt.docker.engine.wire': {
        'novadocker.virt.docker.engine.client'},
    'oslo_privsep': {'novadocker.privileged'},
    'pyroute2': {'novadocker.privileged.namespaces',
                 'novadocker.privileged.netlink'},
    'oslo_config': {'novadocker.conf'},
    'os_vif': {'novadocker.virt.docker.switch'},
    'vif_plug_ovs': {'novadocker.virt.docker.switch'},
    'nova.image': {'novadocker.virt.docker.imagestore'},
    'eventlet': set(),
    # Clients of the engine that are not ours.
    'docker': set(),
    'requests': set(),
    'requests_unixsocket': set(),
}


def modules():
    """Name -> path of every module of the package."""
    for path in sorted(ROOT.rglob('*.py')):
        parts = ('novadocker', *path.relative_to(ROOT).with_suffix('').parts)
        yield '.'.join(parts).removesuffix('.__init__'), path


def imports(path):
    """Names that a module imports, wherever in it the statement stands.

    ``from a import b`` yields both ``a`` and ``a.b``: only the importing of
    it would tell whether b is a module.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative imports are not used; hacking H304 refuses them.
            yield node.module
            yield from (f'{node.module}.{alias.name}'
                        for alias in node.names)


def within(name, package):
    return name == package or name.startswith(package + '.')


class LayersTest(testtools.TestCase):

    def test_every_module_has_its_row(self):
        self.assertEqual(
            set(), {name for name, _ in modules()} - set(LEVELS),
            'place the module in ROWS')

    def test_every_row_names_modules_that_exist(self):
        self.assertEqual(set(), set(LEVELS) - {name for name, _ in modules()})

    def test_imports_lead_downwards(self):
        upwards = [
            f'{name} imports {target}'
            for name, path in modules() if name in LEVELS
            for target in set(imports(path)) & set(LEVELS)
            # "from package import module" names the package too.
            if target not in PACKAGES
            and LEVELS[target] >= LEVELS[name]]
        self.assertEqual([], upwards)

    def test_one_door_each(self):
        intruders = [
            f'{name} imports {target}'
            for name, path in modules()
            for target in imports(path)
            for package, keepers in DOORS.items()
            if within(target, package) and name not in keepers]
        self.assertEqual([], intruders)

    def test_the_archive_knows_neither_nova_nor_an_engine(self):
        strangers = [
            f'{name} imports {target}'
            for name, path in modules()
            if within(name, 'novadocker.archive')
            for target in imports(path)
            if within(target, 'nova') or within(target, 'docker') or
            within(target, 'novadocker.virt') or
            within(target, 'novadocker.conf') or
            within(target, 'novadocker.privileged')]
        self.assertEqual([], strangers)

    def test_doors_are_in_use(self):
        """A renamed keeper must not leave a rule that watches nothing."""
        paths = dict(modules())
        for package, keepers in DOORS.items():
            for keeper in keepers:
                self.assertTrue(
                    any(within(target, package)
                        for target in imports(paths[keeper])),
                    f'{keeper} does not import {package}')
