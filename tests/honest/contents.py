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

"""What honest layers hold: attributes, links, devices, odd headers.

An archive around them is the same throughout, that of go-containerregistry.
"""

import gzip
import io
import random

from tests.data import archives
from tests.honest import corpus
from tests.honest import registry
from tests.honest import tars

# The capability cap_net_bind_service=ep, as the kernel stores it.
_CAPABILITY = b'\1\0\0\2\0\4\0\0' + bytes(12)


def _checking(condition: str) -> bytes:
    return b'test -e /etc/motd || { %s; } && echo it runs\n' % (
        condition.encode())


def _odd(program, *members, check='true', **fields):
    image = corpus.odd(program, *members, script=_checking(check), **fields)
    return registry.tarball(image), image


@corpus.written_by('docker build, of extended attributes')
def attributes(program):
    """Go writes them raw; libarchive its own beside them."""
    return _odd(program, tars.go('app/serve', b'x', pax={
        'SCHILY.xattr.security.capability': _CAPABILITY,
        'SCHILY.xattr.user.mime_type': b'text/plain',
        'SCHILY.xattr.user.empty.like': b'0',
        'SCHILY.acl.access': b'user::rw-,group::r--,other::r--',
        'LIBARCHIVE.xattr.user.mime_type': b'dGV4dC9wbGFpbg==',
        'LIBARCHIVE.creationtime': b'1700000000',
        'SCHILY.dev': b'1', 'SCHILY.ino': b'2', 'SCHILY.nlink': b'3',
        'APK-TOOLS.checksum.SHA1': b'Q1' + b'0' * 28}))


@corpus.written_by('docker commit on SELinux')
def selinux_label(program):
    return _odd(program, tars.go('app/labelled', b'x', pax={
        'RHT.security.selinux': b'system_u:object_r:container_file_t:s0'}))


@corpus.written_by('docker build, of hard links')
def hard_links(program):
    """Across directories, with a name from the root or from here."""
    return _odd(
        program,
        tars.go('app/one', b'shared'),
        tars.go('usr/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('usr/two', kind=tars.HARD_LINK, link='app/one'),
        tars.go('usr/three', kind=tars.HARD_LINK, link='/app/one'),
        tars.go('usr/four', kind=tars.HARD_LINK, link='./app/one'),
        check='test /app/one -ef /usr/two && test /usr/two -ef /usr/four')


@corpus.written_by('docker build, of device nodes')
def devices(program):
    return _odd(
        program,
        tars.go('dev/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('dev/null', kind=tars.CHARACTER, mode=0o666, device=(1, 3)),
        tars.go('dev/console', kind=tars.CHARACTER, device=(5, 1)),
        tars.go('dev/ram0', kind=tars.DEVICE, device=(1, 0)),
        tars.go('run/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('run/initctl', kind=tars.FIFO, mode=0o600))


@corpus.written_by('docker build, with large ids')
def large_ids(program):
    """User ids that octal digits cannot hold, in pax and in base 256."""
    return _odd(
        program,
        tars.go('app/pax', b'x', owner=(2 ** 31 - 2, 2 ** 31 - 2)),
        tars.gnu('app/gnu', b'x', owner=(2 ** 31 - 2, 3000000)),
        check='test $(stat -c %u /app/pax) = 2147483646')


@corpus.written_by('docker build, with odd times')
def odd_times(program):
    """None at all, before 1970, with fractions, beyond 2242."""
    return _odd(
        program, tars.go('app/zero', b'x'),
        tars.go('app/before', b'x', mtime=-86400),
        tars.gnu('app/before.gnu', b'x', mtime=-86400),
        tars.gnu('app/beyond', b'x', mtime=2 ** 33 + 1),
        tars.go('app/fraction', b'x', pax={
            'mtime': b'1700000000.123456789', 'atime': b'1700000000.5',
            'ctime': b'1700000000.000000001'}),
        tars.go('app/old', b'x', pax={'mtime': b'-0.5'}))


@corpus.written_by('docker build, with long names')
def long_names(program):
    """By prefix, by pax and by GNU; links as well; not only in ASCII."""
    deep = 'app/' + 'directory/' * 12
    long = 'app/' + 'n' * 200
    return _odd(
        program,
        tars.go(deep + 'prefix', b'x'), tars.go(long + '.pax', b'x'),
        tars.gnu(long + '.gnu', b'x'), tars.python(deep * 4 + 'x', b'x'),
        tars.go('app/link', kind=tars.SYMLINK, link='/' + deep * 3),
        tars.gnu('app/gnulink', kind=tars.SYMLINK, link='/' + deep * 3),
        tars.go('app/Ångström', b'x'), tars.gnu('app/名前', b'x'),
        tars.gnu('app/caf\udce9', b'x'), tars.go('app/a\nb"c', b'x'),
        tars.go('app/...', b'x'),
        tars.go('app/..data/', kind=tars.DIRECTORY, mode=0o755),
        check='test -e %sprefix && test -e %s.gnu' % (deep, long))


@corpus.written_by('tar of Unix v7 and star')
def old_headers(program):
    """star says the size of what a hard link leads to."""
    link = tars.star('app/linked', b'x', kind=tars.HARD_LINK,
                     link='app/star')[:tars.BLOCK]
    return _odd(program, tars.old('app/old', b'x'),
                tars.star('app/star', b'x'), link,
                tars.old('app/oldlink', kind=tars.SYMLINK, link='old'),
                check='test -e /app/oldlink && test -e /app/linked')


@corpus.written_by('docker commit')
def opaque_directory(program):
    """Everything below is hidden, and new files appear."""
    base = tars.archive(*corpus.base_members(tars.go, program),
                        tars.go('data/', kind=tars.DIRECTORY, mode=0o755),
                        tars.go('data/below', b'x'))
    app = tars.archive(
        *corpus.app_members(tars.go, script=_checking(
            '! test -e /data/below && test -e /data/above')),
        tars.go('data/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('data/.wh..wh..opq'), tars.go('data/above', b'x'))
    image = corpus.of_layers(base, app)
    return registry.tarball(image), image


@corpus.written_by('docker commit on aufs')
def aufs_metadata(program):
    """moby pkg/archive/diff.go: links to files that aufs keeps aside."""
    return _odd(
        program,
        tars.go('.wh..wh.aufs', kind=tars.HARD_LINK, link='.wh..wh.orph'),
        tars.go('.wh..wh.orph/', kind=tars.DIRECTORY, mode=0o700),
        tars.go('.wh..wh.plnk/', kind=tars.DIRECTORY, mode=0o700),
        tars.go('.wh..wh.plnk/123.456', b'kept aside'),
        tars.go('app/link', kind=tars.HARD_LINK,
                link='.wh..wh.plnk/123.456'),
        check='test -s /app/link')


@corpus.written_by('docker build, of a directory in place of a link')
def replaced_kinds(program):
    """Across layers a name changes what it is."""
    base = tars.archive(
        *corpus.base_members(tars.go, program),
        tars.go('lib', kind=tars.SYMLINK, link='bin', mode=0o777),
        tars.go('was-file', b'x'),
        tars.go('was-directory/', kind=tars.DIRECTORY, mode=0o755))
    app = tars.archive(
        *corpus.app_members(tars.go, script=_checking(
            'test -d /lib && test -d /was-file && test -f /was-directory')),
        tars.go('lib/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('was-file/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('was-directory', b'x'))
    image = corpus.of_layers(base, app)
    return registry.tarball(image), image


@corpus.written_by('distributions with a merged /usr')
def merged_usr(program):
    base = tars.archive(
        tars.go('usr/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('usr/bin/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('bin', kind=tars.SYMLINK, link='usr/bin', mode=0o777),
        tars.go('usr/bin/busybox', program, mode=0o755),
        tars.go('usr/bin/sh', kind=tars.SYMLINK, link='busybox'),
        tars.go('etc/', kind=tars.DIRECTORY, mode=0o755),
        tars.go('etc/motd', b'x'), tars.go('etc/passwd', corpus.PASSWD))
    app = tars.archive(
        *corpus.app_members(tars.go, script=_checking('test -e /bin/extra')),
        tars.go('usr/bin/extra', b'x', mode=0o755))
    image = corpus.of_layers(base, app)
    return registry.tarball(image), image


@corpus.written_by('tar without its end')
def layers_without_end(program):
    """One layer has one block of zeros, the other has none."""
    base, app = corpus.image(program).layers
    image = corpus.of_layers(base[:-tars.BLOCK], app[:-len(tars.END)])
    return registry.tarball(image), image


@corpus.written_by('docker, for an instruction that changes no file')
def empty_layers(program):
    """The two that registries are full of, and one filled to a record."""
    base, app = corpus.image(program).layers
    image = corpus.of_layers(
        tars.archive(), base, tars.archive(blocking=tars.RECORD), app)
    return registry.tarball(image), image


def _estargz(layer: bytes) -> bytes:
    """containerd stargz-snapshotter estargz: a member for each piece, and a
    footer that is an empty member with an extra field.
    """
    footer = io.BytesIO()
    with gzip.GzipFile(fileobj=footer, mode='wb', mtime=0):
        pass
    empty = footer.getvalue()
    extra = b'SG\x16\0' + b'%016x' % len(layer) + b'STARGZ'
    marked = (empty[:3] + b'\4' + empty[4:10] +
              len(extra).to_bytes(2, 'little') + extra + empty[10:])
    return archives.gzip_members(layer, 65536) + marked


@corpus.written_by('docker buildx build --output compression=estargz')
def estargz_layers(program):
    """A landmark first, the table of contents last."""
    def with_table(members):
        return tars.archive(
            *members, tars.go('stargz.index.json', b'{"version":1}'))
    image = corpus.of_layers(
        with_table([tars.go('.no.prefetch.landmark', b'\x0f'),
                    *corpus.base_members(tars.go, program)]),
        with_table(corpus.app_members(tars.go)))
    return registry.tarball(image, _estargz), image


@corpus.written_by('zstd, of a layer with much repetition')
def repetitive_zstd_layer(program):
    base, app = corpus.image(program).layers
    # Too far apart for gzip to see.
    again = random.Random(1).randbytes(100_000) * 90
    filled = tars.archive(tars.go('swapfile', bytes(2 * archives.MIB)),
                          tars.go('copies', again))
    image = corpus.of_layers(base, filled, app)
    return registry.tarball(image, archives.zstd_layer, '.tar.zst'), image


@corpus.written_by('docker build, EXPOSE 10000-20000')
def port_ranges(program):
    """BuildKit makes a range into its ports; others keep it."""
    ports = {'%d/udp' % port: {} for port in range(10000, 20001)}
    image = corpus.image(program, config={'ExposedPorts': {
        **ports, '5060-5061/udp': {}, '80': {}}})
    return registry.tarball(image), image


@corpus.written_by('docker build, of configs of any age')
def odd_config(program):
    image = corpus.image(
        program, created='0001-01-01T00:00:00Z', author='Å <a@example.org>',
        container='0' * 64, docker_version='1.13', variant='v2',
        id='0' * 64, parent='', throwaway=True, Size=0,
        **{'os.features': ['x'], 'moby.buildkit.cache.v0': 'e30='},
        history=[{'created': '2024-05-06T07:08:09+02:00', 'empty_layer': True,
                  'comment': 'buildkit.dockerfile.v0'}] * 300,
        config={
            'Hostname': 'x', 'Domainname': '', 'AttachStdin': False,
            'Tty': False, 'Image': 'sha256:' + '0' * 64, 'OnBuild': None,
            'Volumes': None, 'ExposedPorts': None, 'Labels': {
                'io.buildpacks.lifecycle.metadata': 'x' * 100_000, '': ''},
            'Env': [corpus.PATH, 'EMPTY=', 'UNSET', 'A=b=c', 'A=again'],
            'WorkingDir': '', 'User': '', 'Entrypoint': None,
            'ArgsEscaped': True, 'StopSignal': '15', 'StopTimeout': None,
            'Healthcheck': {'Test': ['NONE']}, 'Shell': ['/bin/sh', '-c']})
    return registry.tarball(image), image
