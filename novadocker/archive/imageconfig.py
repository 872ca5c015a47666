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

"""The config of an image: checked, and written anew for the engine."""

import dataclasses
import json
import posixpath
import re
import typing

from novadocker.archive import documents
from novadocker.archive import platforms
from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

_MOST_PORTS = 65_536
_MOST_VOLUMES = 64
_LONGEST_VOLUME = 1024
_LONGEST_ENVIRONMENT_ENTRY = 128 * 1024 - 1
_MOST_RETRIES = 1000
_SECOND = 10 ** 9
_LONGEST_NS = 24 * 60 * 60 * _SECOND

DIGEST = re.compile(r'sha256:[0-9a-f]{64}')
_PORT = re.compile(r'\d{1,5}(-\d{1,5})?(/(tcp|udp|sctp))?', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Rules:
    """What the caller makes of the settings of an image.

    :ivar architecture: what the host runs, in Go's or uname's spelling; None
        takes any image
    :ivar reserved_labels: prefix of the labels that only the caller may set;
        empty where there are none
    :ivar strip_reserved: drop such labels instead of refusing them, for an
        image that the caller made itself
    :ivar volumes_label: label that is to hold the paths that the image
        declares as volumes, a JSON list; empty to forget them
    :ivar unpacked_label: label that is to hold the bytes of the layers
        without compression, each counted once; empty to forget them
    :ivar allow_healthcheck: keep the health check, bounded
    """

    architecture: str | None = None
    reserved_labels: str = ''
    strip_reserved: bool = False
    volumes_label: str = ''
    unpacked_label: str = ''
    allow_healthcheck: bool = False


@dataclasses.dataclass(frozen=True)
class Config:
    """A config that may be given to the engine."""

    diff_ids: tuple[str, ...]
    _document: dict[str, typing.Any]
    _rules: Rules

    def written(self, unpacked_bytes: int) -> bytes:
        """The config as the engine gets it."""
        runtime = dict(self._document['config'])
        if self._rules.unpacked_label:
            runtime['Labels'] = {
                **runtime.get('Labels', {}),
                self._rules.unpacked_label: str(unpacked_bytes)}
        return documents.written({**self._document, 'config': runtime})


def read(data: bytes, what: str, max_layers: int, rules: Rules) -> Config:
    """Check a config and make it anew.

    An image that does not name its architecture is taken for the host's.
    """
    fields = documents.Fields(documents.parse(data, what), what)
    diff_ids = _diff_ids(fields, max_layers)
    document = documents.present({
        'architecture': _architecture(fields, rules.architecture or ''),
        'variant': fields.text('variant'),
        'os': _system(fields),
        'created': fields.time('created'),
        'author': fields.text('author'),
        'history': [_history(row) for row in fields.rows('history')],
        'rootfs': {'type': 'layers', 'diff_ids': list(diff_ids)},
    })
    document['config'] = _runtime(fields.fields('config'), rules)
    return Config(diff_ids, document, rules)


def architecture_of(data: bytes, what: str) -> str:
    """What a config says of its machine; empty when it does not tell."""
    fields = documents.Fields(documents.parse(data, what), what)
    return platforms.machine(fields.text('architecture'))


def _architecture(fields: documents.Fields, host: str) -> str:
    found = platforms.machine(fields.text('architecture') or host)
    if host and found not in platforms.runnable(host):
        raise fields.refusal('architecture', _(
            'says %(image)s, but this host runs %(host)s') % {
                'image': words.shown(found),
                'host': platforms.machine(host)})
    return found


def _system(fields: documents.Fields) -> str:
    system = fields.text('os') or 'linux'
    if system != 'linux':
        raise fields.refusal('os', _('says %s; only linux can run') %
                             words.shown(system))
    return system


def _diff_ids(fields: documents.Fields, max_layers: int) -> tuple[str, ...]:
    rootfs = fields.fields('rootfs')
    if rootfs.text('type') != 'layers':
        raise rootfs.refusal('type', _('must be "layers"'))
    diff_ids = rootfs.texts('diff_ids')
    if not diff_ids:
        raise rootfs.refusal('diff_ids', _('names no layer'))
    if len(diff_ids) > max_layers:
        raise rootfs.refusal('diff_ids', _('names more than %d layers') %
                             max_layers)
    if not all(DIGEST.fullmatch(digest) for digest in diff_ids):
        raise rootfs.refusal('diff_ids', _('must be a list of sha256 '
                                           'digests'))
    return tuple(diff_ids)


def _history(row: documents.Fields) -> dict[str, typing.Any]:
    return documents.present({
        'created': row.time('created'),
        'created_by': row.text('created_by'),
        'author': row.text('author'),
        'comment': row.text('comment'),
        'empty_layer': row.flag('empty_layer'),
    })


def _runtime(config: documents.Fields,
             rules: Rules) -> dict[str, typing.Any]:
    """What the image says of the containers made from it.

    Volumes never reach the engine: it would make one for each container,
    outside its file system, which no snapshot holds and no quota bounds.
    """
    return documents.present({
        'User': config.text('User'),
        'ExposedPorts': _ports(config),
        'Env': _environment(config),
        'Entrypoint': config.words('Entrypoint'),
        'Cmd': config.words('Cmd'),
        'ArgsEscaped': config.flag('ArgsEscaped'),
        'WorkingDir': config.text('WorkingDir'),
        'Labels': _labels(config, rules),
        'StopSignal': config.text('StopSignal'),
        'StopTimeout': config.number('StopTimeout'),
        'Healthcheck': (_healthcheck(config.fields('Healthcheck'))
                        if rules.allow_healthcheck else {}),
        'OnBuild': config.texts('OnBuild'),
        'Shell': config.words('Shell'),
    })


def _ports(config: documents.Fields) -> dict[str, dict[str, str]]:
    ports = config.mapping('ExposedPorts', most=_MOST_PORTS)
    for port in ports:
        if not _PORT.fullmatch(port):
            raise config.refusal('ExposedPorts', _('names the bad port %s') %
                                 words.shown(port))
    return {port: {} for port in ports}


def _environment(config: documents.Fields) -> list[str]:
    entries = config.texts('Env')
    for entry in entries:
        if len(entry.encode('utf-8')) > _LONGEST_ENVIRONMENT_ENTRY:
            raise config.refusal('Env', _('has an entry too long for Linux'))
        if not entry.partition('=')[0]:
            raise config.refusal('Env', _('has an entry without a name'))
    return entries


def _labels(config: documents.Fields, rules: Rules) -> dict[str, str]:
    labels = config.text_mapping('Labels')
    reserved = [name for name in labels
                if rules.reserved_labels and
                name.casefold().startswith(rules.reserved_labels)]
    if reserved and not rules.strip_reserved:
        raise config.refusal('Labels', _(
            'holds %s, which only the cloud may set') %
            words.shown(reserved[0]))
    kept = {name: value for name, value in labels.items()
            if name not in reserved}
    volumes = _volumes(config)
    if volumes and rules.volumes_label:
        kept[rules.volumes_label] = json.dumps(volumes)
    return kept


def _volumes(config: documents.Fields) -> list[str]:
    """Paths from the root of the container, each once."""
    volumes = config.mapping('Volumes')
    if len(volumes) > _MOST_VOLUMES:
        raise config.refusal('Volumes', _('has more than %d entries') %
                             _MOST_VOLUMES)
    for path in volumes:
        parts = tar.components(path.encode('utf-8'))
        if (not parts or b'..' in parts or ':' in path or
                len(path) > _LONGEST_VOLUME):
            raise config.refusal('Volumes', _('names the bad path %s') %
                                 words.shown(path))
    return sorted({posixpath.normpath('/' + path.lstrip('/'))
                   for path in volumes})


def _healthcheck(check: documents.Fields) -> dict[str, typing.Any]:
    """Bounded: every check is a process that the engine starts.

    Nothing stated leaves the engine's own default, of 5 s and more.
    """
    return documents.present({
        'Test': check.texts('Test'),
        'Interval': _pause(check.number('Interval')),
        'Timeout': _pause(check.number('Timeout')),
        'StartPeriod': min(max(check.number('StartPeriod'), 0), _LONGEST_NS),
        'StartInterval': _pause(check.number('StartInterval')),
        'Retries': min(max(check.number('Retries'), 0), _MOST_RETRIES),
    })


def _pause(stated_ns: int) -> int:
    return stated_ns and min(max(stated_ns, _SECOND), _LONGEST_NS)
