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


"""Write the configuration files from the templates."""

import pathlib
import shutil
import string

from quickstart import settings as settings_


def render(settings) -> set[str]:
    """Write what differs; the directories below etc that changed.

    Placement reads its file from a directory, the others by name: the
    layout below templates/ is the layout below etc/.
    """
    values = settings.values()
    changed = set()
    for template in sorted(settings_.TEMPLATES.glob('*/*')):
        relative = template.relative_to(settings_.TEMPLATES)
        text = string.Template(template.read_text()).substitute(values)
        if _write(settings.etc / relative, text):
            changed.add(relative.parent.name)
    for name in ('clouds.yaml', 'openrc'):
        text = (settings_.TEMPLATES / name).read_text()
        _write(settings.directory / name,
               string.Template(text).substitute(values))
    _install_filters(settings)
    return changed


def _write(path: pathlib.Path, text: str) -> bool:
    """Whether the file had another content; secrets stay with root."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return True


def _install_filters(settings) -> None:
    """Let nova-rootwrap run what Nova and the driver ask for, no more."""
    target = settings.etc / 'nova' / 'rootwrap.d'
    target.mkdir(parents=True, exist_ok=True)
    for source in (settings.venv / 'etc/nova/rootwrap.d',
                   settings_.CHECKOUT / 'etc/nova/rootwrap.d'):
        for filters in source.glob('*.filters'):
            shutil.copy(filters, target)
