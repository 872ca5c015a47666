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

"""Archives by the container tools of the machine, made from nothing.

``ARCHIVES`` holds them by name. Each image is the corpus's: a file system
with a shell, and a change to it that removes one file and adds the script
that the image starts. Only the machine's busybox goes into it, so that no
registry is asked.
"""

from collections.abc import Callable
import dataclasses
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

import fixtures

from tests.functional import engine
from tests.honest import corpus

_COMMAND = '["/bin/sh", "/app/run"]'
# cap_net_bind_service=ep
_CAPABILITY = b'\1\0\0\2\0\4\0\0' + bytes(12)
# As root they remember, outside of their storage, where blobs come from.
_NOTHING_LEFT = ('unshare', '--mount', 'sh', '-c',
                 'mount -t tmpfs none /var/lib && exec "$@"', '--')


class Workshop(fixtures.Fixture):
    """A file system to start from, and a place for the tools to work in.

    What a tool has made for one archive is there for the next one.
    """

    def _setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix='novadocker-tools-'))
        self.addCleanup(shutil.rmtree, self.top)
        self.root = self.top / 'root'
        self._fill(self.root)

    def _fill(self, root):
        for name in ('bin', 'etc', 'tmp'):
            (root / name).mkdir(parents=True)
        shutil.copy(engine.BUSYBOX, root / 'bin' / 'busybox')
        (root / 'bin' / 'sh').symlink_to('busybox')
        os.link(root / 'bin' / 'busybox', root / 'bin' / 'stat')
        (root / 'etc' / 'passwd').write_bytes(corpus.PASSWD)
        (root / 'etc' / 'motd').write_text('remove me\n')
        (root / 'etc' / 'run').write_bytes(corpus.SCRIPT)
        (root / 'bin' / 'serve').write_text('#!/bin/sh\n')
        os.setxattr(root / 'bin' / 'serve', 'security.capability',
                    _CAPABILITY)
        os.chown(root / 'tmp', 3_000_000, 3_000_000)

    def change(self, root):
        """What the second layer consists of."""
        (root / 'etc' / 'motd').unlink()
        (root / 'app').mkdir()
        (root / 'app' / 'run').write_bytes(corpus.SCRIPT)

    def run(self, tool, *arguments):
        """Run a tool, which has to be there; give what it prints."""
        if shutil.which(tool) is None:
            raise AssertionError(
                '%s is not installed; ./run_tests.sh installs what the tests '
                'need, see PACKAGES there' % tool)
        done = subprocess.run(
            [*_NOTHING_LEFT, tool, *map(str, arguments)],
            capture_output=True, text=True, cwd=self.top,
            env=dict(os.environ, TMPDIR=str(self.top)))
        if done.returncode:
            raise AssertionError('%s %s: %s' % (
                tool, ' '.join(map(str, arguments)), done.stderr))
        return done.stdout.strip()

    def path(self, name):
        return self.top / ('%s.%s' % (name, uuid.uuid4().hex[:8]))

    def packed(self, directory):
        archive = self.path('packed')
        self.run('tar', '-C', directory, '-cf', archive, '.')
        return archive

    def podman(self, *arguments):
        return self.run('podman', *self._storage('podman'),
                        '--cgroup-manager', 'cgroupfs', '--events-backend',
                        'none', '--tmpdir', self.top / 'podman-tmp',
                        *arguments)

    def buildah(self, *arguments):
        return self.run('buildah', *self._storage('buildah'), *arguments)

    def _storage(self, tool):
        return ('--root', self.top / (tool + '-root'),
                '--runroot', self.top / (tool + '-run'),
                '--storage-driver', 'vfs')

    @functools.cached_property
    def layout(self):
        """An OCI layout by umoci, with the image "it"."""
        layout = self.top / 'layout'
        image = '%s:it' % layout
        bundle = self.path('bundle')
        self.run('umoci', 'init', '--layout', layout)
        self.run('umoci', 'new', '--image', image)
        self.run('umoci', 'insert', '--image', image, self.root, '/')
        self.run('umoci', 'unpack', '--image', image, bundle)
        self.change(bundle / 'rootfs')
        self.run('umoci', 'repack', '--image', image, bundle)
        self.run('umoci', 'config', '--image', image,
                 '--config.cmd', '/bin/sh', '--config.cmd', '/app/run',
                 '--config.exposedports', '80', '--config.volume', '/data')
        return layout

    def copied(self, destination, *options, source=None):
        """skopeo copy; ``destination`` is a transport."""
        archive = self.path('copied')
        self.run('skopeo', 'copy', '--quiet', *options,
                 source or 'oci:%s:it' % self.layout,
                 '%s:%s' % (destination, archive))
        return archive

    @functools.cached_property
    def built(self):
        """The name of an image that buildah has built, layer by layer."""
        (self.top / 'Dockerfile').write_text(
            'FROM scratch\nADD root /\nRUN rm /etc/motd\nRUN mkdir /app\n'
            'COPY run /app/run\nEXPOSE 80-90\nVOLUME /data\nENV A=b\n'
            'CMD %s\n' % _COMMAND)
        (self.top / 'run').write_bytes(corpus.SCRIPT)
        self.buildah('bud', '--quiet', '--layers', '--isolation', 'chroot',
                     '--tag', 'built:1', self.top)
        return 'built:1'

    @functools.cached_property
    def podman_image(self):
        """The name of an image in podman's storage."""
        self.podman('load', '--quiet', '--input',
                    self.copied('docker-archive'))
        name = 'localhost/it:1'
        self.podman('tag', self.podman('images', '--quiet'), name)
        return name


@dataclasses.dataclass(frozen=True)
class Archive:
    name: str
    make: Callable[[Workshop], pathlib.Path]


ARCHIVES: dict[str, Archive] = {}


def archive(make):
    ARCHIVES[make.__name__] = Archive(make.__name__, make)
    return make


@archive
def umoci_repack(shop):
    return shop.packed(shop.layout)


@archive
def skopeo_docker_archive(shop):
    return shop.copied('docker-archive')


@archive
def skopeo_oci_archive(shop):
    return shop.copied('oci-archive')


@archive
def skopeo_oci_archive_gzip(shop):
    return shop.copied('oci-archive', '--dest-compress',
                       source='docker-archive:%s' %
                       shop.copied('docker-archive'))


@archive
def skopeo_oci_archive_zstd(shop):
    return shop.copied('oci-archive', '--dest-compress',
                       '--dest-compress-format', 'zstd')


@archive
def skopeo_by_directory(shop):
    return shop.copied('docker-archive',
                       source='dir:%s' % shop.copied('dir'))


@archive
def skopeo_of_docker_format(shop):
    return shop.copied('oci-archive', '--format', 'v2s2',
                       source='dir:%s' % shop.copied('dir', '--format',
                                                     'v2s2'))


@archive
def skopeo_layout(shop):
    return shop.packed(shop.copied('oci'))


def _saved(shop, *arguments):
    target = shop.path('saved')
    shop.podman('save', '--quiet', '--output', target, *arguments)
    return target


@archive
def podman_docker_archive(shop):
    return _saved(shop, shop.podman_image)


@archive
def podman_oci_archive(shop):
    return _saved(shop, '--format', 'oci-archive', shop.podman_image)


@archive
def podman_several_names(shop):
    shop.podman('tag', shop.podman_image, 'localhost/also:2')
    return _saved(shop, '--multi-image-archive', shop.podman_image,
                  'localhost/also:2')


@archive
def podman_oci_directory(shop):
    return shop.packed(_saved(shop, '--format', 'oci-dir',
                              shop.podman_image))


@archive
def podman_import(shop):
    """A file system as one layer, which GNU tar has packed."""
    root = shop.path('changed')
    shutil.copytree(shop.root, root, symlinks=True)
    shop.change(root)
    name = 'localhost/imported:1'
    shop.podman('import', '--quiet', '--change', 'CMD ' + _COMMAND,
                shop.packed(root), name)
    return _saved(shop, name)


def _pushed(shop, name, transport, *options):
    target = shop.path('pushed')
    shop.buildah('push', '--quiet', *options, name,
                 '%s:%s' % (transport, target))
    return target


@archive
def buildah_docker_archive(shop):
    return _pushed(shop, shop.built, 'docker-archive')


@archive
def buildah_oci_archive(shop):
    return _pushed(shop, shop.built, 'oci-archive')


@archive
def buildah_oci_archive_zstd(shop):
    return _pushed(shop, shop.built, 'oci-archive', '--compression-format',
                   'zstd')


@archive
def buildah_docker_format(shop):
    return _pushed(shop, shop.built, 'docker-archive', '--format', 'v2s2')


@archive
def buildah_commit(shop):
    """A working container, straight into an archive."""
    target = shop.path('committed')
    container = shop.buildah('from', shop.built)
    shop.buildah('run', '--isolation', 'chroot', container, '--',
                 '/bin/sh', '-c', 'mkdir /more && echo x >/more/file')
    shop.buildah('commit', '--quiet', container,
                 'docker-archive:%s:it:1' % target)
    return target


@archive
def docker_save(shop):
    """By the machine's own engine, of what it has committed."""
    name = '%s/%s' % (engine.NAMESPACE, uuid.uuid4().hex)
    target = shop.path('saved')
    shop.run('docker', 'import', '--change', 'CMD ' + _COMMAND,
             shop.packed(shop.root), name + ':1')
    shop.addCleanup(shop.run, 'docker', 'image', 'rm', name + ':1')
    container = shop.run(
        'docker', 'create', '--network', 'none', name + ':1', '/bin/sh', '-c',
        'rm /etc/motd && mkdir /app && mv /etc/run /app')
    shop.addCleanup(shop.run, 'docker', 'rm', '--force', container)
    shop.run('docker', 'start', '--attach', container)
    shop.run('docker', 'commit', '--change', 'CMD ' + _COMMAND, container,
             name + ':2')
    shop.addCleanup(shop.run, 'docker', 'image', 'rm', name + ':2')
    shop.run('docker', 'save', '--output', target, name + ':2')
    return target
