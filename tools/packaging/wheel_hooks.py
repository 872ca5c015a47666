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

"""Build back end: pbr's own, plus the ``nova.virt`` alias at the wheel root.

``build_py`` can put files at the root of a wheel but not of an editable one,
so both kinds are finished here, after they were built, through the hooks of
PEP 517 and PEP 660.  The files are rows of RECORD, so that uninstalling the
package removes them.

The ``.start`` file is the successor of an executable ``.pth`` (PEP 829):
Python 3.15 and later read it and skip the ``.pth`` of the same name.
"""

import base64
import hashlib
import os
import pathlib
import subprocess
import zipfile

import pbr.build
from setuptools.config import setupcfg

_HERE = pathlib.Path(__file__).parent
_TREE = _HERE.parent.parent
_ROOT_FILES = ('_novadocker_alias.py', 'novadocker-nova-alias.pth',
               'novadocker-nova-alias.start')


def get_requires_for_build_wheel(config_settings=None):
    _ensure_version()
    return pbr.build.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings=None):
    _ensure_version()
    return pbr.build.get_requires_for_build_editable(config_settings)


def get_requires_for_build_sdist(config_settings=None):
    _ensure_version()
    return pbr.build.get_requires_for_build_sdist(config_settings)


def prepare_metadata_for_build_wheel(metadata_directory,
                                     config_settings=None):
    _ensure_version()
    return pbr.build.prepare_metadata_for_build_wheel(
        metadata_directory, config_settings)


def prepare_metadata_for_build_editable(metadata_directory,
                                        config_settings=None):
    _ensure_version()
    return pbr.build.prepare_metadata_for_build_editable(
        metadata_directory, config_settings)


def build_sdist(sdist_directory, config_settings=None):
    _ensure_version()
    return pbr.build.build_sdist(sdist_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None,
                metadata_directory=None):
    _ensure_version()
    return _add_root_files(wheel_directory, pbr.build.build_wheel(
        wheel_directory, config_settings, metadata_directory))


def build_editable(wheel_directory, config_settings=None,
                   metadata_directory=None):
    _ensure_version()
    return _add_root_files(wheel_directory, pbr.build.build_editable(
        wheel_directory, config_settings, metadata_directory))


def _ensure_version():
    """Name a version where pbr would find none and give up.

    Such a tree is an export without history, a shallow clone, or a clone
    that git refuses to read because another user owns it (as under sudo).
    """
    if (_TREE / 'PKG-INFO').exists() or _has_history():
        return
    config = setupcfg.read_configuration(_TREE / 'setup.cfg')
    os.environ.setdefault('PBR_VERSION',
                          config['metadata']['version'] + '.dev0')


def _has_history():
    """Say whether pbr can tell a version from git.

    It calls a history of one commit without a tag, as of ``git clone
    --depth 1``, version 0.0.0.
    """
    try:
        commits = subprocess.run(
            ['git', 'log', '-2', '--format=commit %D'], cwd=_TREE,
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return commits.count('commit ') > 1 or 'tag: ' in commits


def _add_root_files(directory, wheel):
    """Rewrite a wheel with the alias files and their rows of RECORD."""
    path = pathlib.Path(directory, wheel)
    finished = path.with_suffix('.tmp')
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(
            finished, 'w', zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith('.dist-info/RECORD'):
                content = _record_with_root_files(content)
            new.writestr(info, content)
        for name in _ROOT_FILES:
            new.write(_HERE / name, name)
    finished.replace(path)
    return wheel


def _record_with_root_files(record):
    rows = [_record_row(name) for name in _ROOT_FILES]
    return record.rstrip(b'\n') + b'\n' + ''.join(rows).encode()


def _record_row(name):
    content = (_HERE / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f'{name},sha256={digest.rstrip(b"=").decode()},{len(content)}\n'
