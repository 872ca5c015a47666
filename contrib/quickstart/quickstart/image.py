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


"""The image of the first server, made from Debian packages on this machine.

busybox gives the tools, dropbear the ssh server, iputils a ping that needs
no raw socket; image/ has the program that a server runs and a sudo for whoever
types it by habit. Users get bash: busybox's own shell prefers its applets, its
ping among them, to whatever is in PATH.
"""

import io
import re
import subprocess
import tarfile

from quickstart import problem
from quickstart import settings as settings_
from quickstart import shell

_BASH = '/bin/bash'
_BUSYBOX = '/bin/busybox'
_DROPBEAR = '/usr/sbin/dropbear'
_DROPBEARKEY = '/usr/bin/dropbearkey'
_PING = '/usr/bin/ping'
_FILES = {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n'
                  'nobody:x:65534:65534:nobody:/:/bin/false\n',
    'etc/group': 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n',
    'etc/shadow': 'root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n',
    'etc/shells': '/bin/sh\n/bin/bash\n',
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\n',
    'etc/motd': 'This server is a container. Welcome.\n',
}
_DIRECTORIES = {'etc/dropbear': 0o700, 'root': 0o700, 'tmp': 0o1777,
                'run': 0o755, 'var/log': 0o755, 'var/run': 0o755,
                'dev': 0o755, 'proc': 0o755, 'sys': 0o755}


def build(settings) -> None:
    """Give the engine the image settings.IMAGE_TAG."""
    path = settings.state / 'image.tar'
    with tarfile.open(path, 'w') as layer:
        _fill(layer)
    # Else the one before would stay, without a name.
    shell.output(settings, ('docker', 'image', 'rm', settings_.IMAGE_TAG),
                 check=False)
    shell.run(settings, (
        'docker', 'import', '--change', 'CMD ["/sbin/init"]',
        '--change', 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin',
        path, settings_.IMAGE_TAG), 'image')
    path.unlink()


def upload(settings, name) -> None:
    """docker save | openstack image create"""
    log = shell.log_path(settings, 'image')
    env = shell.environment(settings, {
        'OS_CLIENT_CONFIG_FILE': str(settings.clouds)})
    command = (settings.tool('openstack'), '--os-cloud', 'quickstart-admin',
               'image', 'create', '--public', '--container-format', 'docker',
               '--disk-format', 'raw', name)
    with open(log, 'ab') as output:
        save = subprocess.Popen(
            ('docker', 'save', settings_.IMAGE_TAG), stderr=output,
            stdout=subprocess.PIPE, env=env)
        create = subprocess.run(command, stdin=save.stdout, stdout=output,
                                stderr=output, env=env)
        save.stdout.close()
    if save.wait() or create.returncode:
        raise problem.Problem('the image was not uploaded: %s' %
                              shell.last_line(log), log=log)


def _fill(layer) -> None:
    for name, mode in _DIRECTORIES.items():
        _directory(layer, name, mode)
    for name, text in _FILES.items():
        mode = 0o600 if name == 'etc/shadow' else 0o644
        _file(layer, name, text.encode(), mode)
    for source in sorted((settings_.QUICKSTART / 'image').iterdir()):
        _file(layer, 'sbin/' + source.name, source.read_bytes(), 0o755)
    _program(layer, _BUSYBOX, 'bin/busybox')
    for applet in subprocess.check_output(
            (_BUSYBOX, '--list-full'), text=True).split():
        if applet not in ('bin/busybox', 'bin/ping', 'sbin/init', 'linuxrc'):
            _link(layer, applet, '/bin/busybox')
    programs = (_BASH, _DROPBEAR, _DROPBEARKEY, _PING)
    for program in programs:
        _program(layer, program, program[1:])
    for library in sorted(set().union(*map(_libraries, programs))):
        _program(layer, library, library[1:])


def _libraries(program) -> set[str]:
    """Paths of the shared libraries that a program loads."""
    lines = subprocess.check_output(('ldd', program), text=True)
    return set(re.findall(r'(/\S+) \(0x', lines))


def _add(layer, name, kind, mode, data=b'', target='') -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, mode, target
    member.size = len(data)
    layer.addfile(member, io.BytesIO(data))


def _directory(layer, name, mode) -> None:
    _add(layer, name, tarfile.DIRTYPE, mode)


def _file(layer, name, data, mode) -> None:
    _add(layer, name, tarfile.REGTYPE, mode, data)


def _link(layer, name, target) -> None:
    _add(layer, name, tarfile.SYMTYPE, 0o777, target=target)


def _program(layer, source, name) -> None:
    with open(source, 'rb') as program:
        _file(layer, name, program.read(), 0o755)
