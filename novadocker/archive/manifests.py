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


"""Image configs, manifests and OCI indexes: read strictly, written anew.

Go, which the engine is written in, matches the keys of JSON objects in any
letter case and lets the last one win, so a document may mean one thing here
and another there. Nothing of the author's JSON reaches the engine: what is
understood here, field by field and type by type, is written out again.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import json
import re

from novadocker.archive import tar
from novadocker.archive import words
from novadocker.i18n import _

# Bounds the memory of the parsed document, not only of its text.
_MOST_TOKENS = 100_000
_MOST_DIGITS = 20
_MOST_ENTRIES = 4096
_MOST_VOLUMES = 64
_LONGEST_ENVIRONMENT_ENTRY = 128 * 1024 - 1
_RESERVED_LABELS = 'org.openstack.nova.'

_DIGEST = re.compile(r'sha256:[0-9a-f]{64}')
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?'
                   r'(Z|[+-]\d\d:\d\d)', re.ASCII)
_PORT = re.compile(r'\d{1,5}(-\d{1,5})?(/(tcp|udp|sctp))?', re.ASCII)
_MACHINES = {'x86_64': 'amd64', 'x86-64': 'amd64', 'aarch64': 'arm64',
             'armv7l': 'arm', 'i686': '386', 'i386': '386'}
_ATTESTATION = 'vnd.docker.reference.type'


def machine(name: str) -> str:
    """A processor architecture in the spelling of images (Go's)."""
    return _MACHINES.get(name.lower(), name.lower())


# JSON text to plain values

def parse(data: bytes, what: str):
    """Strict JSON: UTF-8, no NaN, no key twice, bounded in every way."""
    if sum(map(data.count, (b'{', b'[', b','))) > _MOST_TOKENS:
        raise _bad(what, _('it has too many elements'))
    try:
        return json.loads(data.decode('utf-8'), object_pairs_hook=_object,
                          parse_int=_integer, parse_constant=_constant)
    except RecursionError as err:
        raise _bad(what, _('it is nested too deeply')) from err
    except ValueError as err:
        raise _bad(what, _('it is no valid JSON (%s)') %
                   ascii(str(err))[1:-1][:200]) from err


def _object(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('an object has the same key twice')
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError('a number has too many digits')
    return int(digits)


def _constant(name: str):
    raise ValueError('%s is no JSON' % name)


def _bad(what: str, reason: str):
    return words.refusal(_('%(what)s cannot be used: %(reason)s') % {
        'what': what, 'reason': reason})


class Fields:
    """The fields of one JSON object, taken by name and checked type.

    null stands for an absent field, as in Go.
    """

    def __init__(self, value, what: str):
        self._what = what
        if not isinstance(value, dict):
            raise _bad(what, _('it is no JSON object'))
        self._value = value
        self._refuse_colliding_keys()

    def _refuse_colliding_keys(self) -> None:
        if len({key.casefold() for key in self._value}) < len(self._value):
            raise _bad(self._what, _('two of its keys differ in letter case '
                                     'only'))

    def refusal(self, key: str, reason: str):
        return _bad(self._what, _('field %(key)s %(reason)s') % {
            'key': key, 'reason': reason})

    def _typed(self, key: str, kind, expected: str):
        value = self._value.get(key)
        if value is not None and not _is(value, kind):
            raise self.refusal(key, _('must be %s') % expected)
        return value

    def text(self, key: str) -> str:
        return self._clean(key, self._typed(key, str, _('a string')) or '')

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, bool, _('true or false')))

    def number(self, key: str) -> int:
        value = self._typed(key, int, _('a whole number')) or 0
        if not -1 << 63 <= value < 1 << 63:
            raise self.refusal(key, _('is out of range'))
        return value

    def time(self, key: str) -> str:
        """A time that Go can read (RFC 3339), or nothing."""
        value = self.text(key)
        if value and not _is_time(value):
            raise self.refusal(key, _('is no time as of RFC 3339'))
        return value

    def items(self, key: str) -> list:
        value = self._typed(key, list, _('a list')) or []
        if len(value) > _MOST_ENTRIES:
            raise self.refusal(key, _('has more than %d entries') %
                               _MOST_ENTRIES)
        return value

    def texts(self, key: str) -> list[str]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.refusal(key, _('must be a list of strings'))
        return [self._clean(key, value) for value in values]

    def words(self, key: str) -> list[str]:
        """A list of strings; the oldest images have a bare string."""
        if isinstance(self._value.get(key), str):
            return [self.text(key)]
        return self.texts(key)

    def mapping(self, key: str) -> dict[str, object]:
        """An object whose keys are data, so that their case matters."""
        value = self._typed(key, dict, _('an object')) or {}
        if len(value) > _MOST_ENTRIES:
            raise self.refusal(key, _('has more than %d entries') %
                               _MOST_ENTRIES)
        return {self._clean(key, name): item for name, item in value.items()}

    def text_mapping(self, key: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self.mapping(key).items():
            if not isinstance(value, str):
                raise self.refusal(key, _('must map strings to strings'))
            found[name] = self._clean(key, value)
        return found

    def fields(self, key: str) -> 'Fields':
        return Fields(self._typed(key, dict, _('an object')) or {},
                      self._path(key))

    def rows(self, key: str) -> list['Fields']:
        return [Fields(item, self._path('%s[%d]' % (key, index)))
                for index, item in enumerate(self.items(key))]

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def _path(self, key: str) -> str:
        return '%s, %s' % (self._what, key)

    def _clean(self, key: str, text: str) -> str:
        if '\0' in text or not _is_unicode(text):
            raise self.refusal(key, _('holds a NUL or half a character'))
        return text


def _is(value, kind) -> bool:
    # In Python true is a number.
    return isinstance(value, kind) and (kind is bool or
                                        not isinstance(value, bool))


def _is_unicode(text: str) -> bool:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return True


def _is_time(value: str) -> bool:
    if not _TIME.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(value[:19] + '+00:00')
    except ValueError:
        return False
    return value.endswith('Z') or value[-5:-3] < '24' and value[-2:] < '60'


# The image config

@dataclasses.dataclass(frozen=True)
class Config:
    """A config as it will be given to the engine."""

    text: bytes
    architecture: str
    os: str
    diff_ids: tuple[str, ...]
    history: tuple[dict, ...]


def read_config(data: bytes, what: str, max_layers: int,
                architecture: str | None, strip_labels: bool) -> Config:
    """Check a config and write it anew.

    :param architecture: what the host runs; an image that does not tell is
        taken for it
    :param strip_labels: drop labels of the driver's own instead of refusing
        them, for an image that it made itself
    """
    fields = Fields(parse(data, what), what)
    found = machine(fields.text('architecture') or architecture or '')
    if architecture and found != machine(architecture):
        raise fields.refusal('architecture', _(
            'says %(image)s, but this host runs %(host)s') % {
                'image': words.shown(found),
                'host': machine(architecture)})
    system = fields.text('os') or 'linux'
    if system != 'linux':
        raise fields.refusal('os', _('says %s; only linux can run') %
                             words.shown(system))
    diff_ids = _diff_ids(fields, max_layers)
    history = tuple(_history(row) for row in fields.rows('history'))
    document = _present({
        'architecture': found,
        'variant': fields.text('variant'),
        'os': system,
        'created': fields.time('created'),
        'author': fields.text('author'),
        'history': list(history),
        'rootfs': {'type': 'layers', 'diff_ids': list(diff_ids)},
    })
    document['config'] = _runtime(fields.fields('config'), strip_labels)
    return Config(_written(document), found, system, diff_ids, history)


def _present(document: Mapping) -> dict:
    return {key: value for key, value in document.items() if value}


def _written(document) -> bytes:
    return json.dumps(document, ensure_ascii=False,
                      separators=(',', ':')).encode('utf-8')


def _diff_ids(fields: Fields, max_layers: int) -> tuple[str, ...]:
    rootfs = fields.fields('rootfs')
    if rootfs.text('type') != 'layers':
        raise rootfs.refusal('type', _('must be "layers"'))
    diff_ids = rootfs.texts('diff_ids')
    if not diff_ids:
        raise rootfs.refusal('diff_ids', _('names no layer'))
    if len(diff_ids) > max_layers:
        raise rootfs.refusal('diff_ids', _('names more than %d layers') %
                             max_layers)
    if not all(_DIGEST.fullmatch(digest) for digest in diff_ids):
        raise rootfs.refusal('diff_ids', _('must be a list of sha256 '
                                           'digests'))
    return tuple(diff_ids)


def _history(row: Fields) -> dict:
    return _present({
        'created': row.time('created'),
        'created_by': row.text('created_by'),
        'author': row.text('author'),
        'comment': row.text('comment'),
        'empty_layer': row.flag('empty_layer'),
    })


def _runtime(config: Fields, strip_labels: bool) -> dict:
    """What the image says of the containers made from it."""
    return _present({
        'User': config.text('User'),
        'ExposedPorts': _ports(config),
        'Env': _environment(config),
        'Entrypoint': config.words('Entrypoint'),
        'Cmd': config.words('Cmd'),
        'ArgsEscaped': config.flag('ArgsEscaped'),
        'Volumes': _volumes(config),
        'WorkingDir': config.text('WorkingDir'),
        'Labels': _labels(config, strip_labels),
        'StopSignal': config.text('StopSignal'),
        'StopTimeout': config.number('StopTimeout'),
        'Healthcheck': _healthcheck(config.fields('Healthcheck')),
        'OnBuild': config.texts('OnBuild'),
        'Shell': config.words('Shell'),
    })


def _ports(config: Fields) -> dict:
    ports = config.mapping('ExposedPorts')
    for port in ports:
        if not _PORT.fullmatch(port):
            raise config.refusal('ExposedPorts', _('names the bad port %s') %
                                 words.shown(port))
    return {port: {} for port in ports}


def _environment(config: Fields) -> list[str]:
    entries = config.texts('Env')
    for entry in entries:
        if len(entry.encode('utf-8')) > _LONGEST_ENVIRONMENT_ENTRY:
            raise config.refusal('Env', _('has an entry too long for Linux'))
        if not entry.partition('=')[0]:
            raise config.refusal('Env', _('has an entry without a name'))
    return entries


def _volumes(config: Fields) -> dict:
    """Each is a volume of the container's own, never a path of the host."""
    volumes = config.mapping('Volumes')
    if len(volumes) > _MOST_VOLUMES:
        raise config.refusal('Volumes', _('has more than %d entries') %
                             _MOST_VOLUMES)
    for path in volumes:
        parts = tar.components(path.encode('utf-8'))
        if not parts or b'..' in parts or ':' in path:
            raise config.refusal('Volumes', _('names the bad path %s') %
                                 words.shown(path))
    return {path: {} for path in volumes}


def _labels(config: Fields, strip: bool) -> dict[str, str]:
    labels = config.text_mapping('Labels')
    ours = [name for name in labels
            if name.casefold().startswith(_RESERVED_LABELS)]
    if ours and not strip:
        raise config.refusal('Labels', _(
            'holds %s, which only Nova may set') % words.shown(ours[0]))
    return {name: value for name, value in labels.items()
            if name not in ours}


def _healthcheck(check: Fields) -> dict:
    return _present({
        'Test': check.texts('Test'),
        'Interval': check.number('Interval'),
        'Timeout': check.number('Timeout'),
        'StartPeriod': check.number('StartPeriod'),
        'StartInterval': check.number('StartInterval'),
        'Retries': check.number('Retries'),
    })


# Which config and layers make the image

@dataclasses.dataclass(frozen=True)
class Manifest:
    """Names of members in the archive, before links are followed."""

    config: str
    layers: tuple[str, ...]


def read_docker_manifest(data: bytes) -> Manifest:
    """``manifest.json`` of a docker-archive."""
    what = 'manifest.json'
    value = parse(data, what)
    if not isinstance(value, list):
        raise _bad(what, _('it is no JSON list'))
    if len(value) != 1:
        raise _bad(what, _('it names %d images, but an archive must hold '
                           'exactly one') % len(value))
    fields = Fields(value[0], what)
    return Manifest(fields.text('Config'), tuple(fields.texts('Layers')))


def read_oci_index(data: bytes, find: Callable[[str], bytes | None],
                   architecture: str | None) -> Manifest:
    """``index.json`` of an OCI layout; indexes may be nested.

    :param find: gives the document of a digest, None when it is absent, as
        the platforms that were not saved are
    """
    documents = _each_once(find)
    manifests: list[Manifest] = []
    waiting = [Fields(parse(data, 'index.json'), 'index.json')]
    while waiting:
        for row in waiting.pop().rows('manifests'):
            document = (documents(_digest(row))
                        if _is_wanted(row, architecture) else None)
            if document is None:
                continue
            what = _('the manifest %s') % words.shown(_digest(row))
            fields = Fields(parse(document, what), what)
            if fields.has('manifests'):
                waiting.append(fields)
            else:
                manifests.append(_oci_manifest(fields))
    if len(manifests) != 1:
        raise _bad('index.json', _(
            'it leads to %d images for this host, but an archive must hold '
            'exactly one') % len(manifests))
    return manifests[0]


def _each_once(find: Callable[[str], bytes | None]):
    """Several tags of one image, and loops, come to the same document."""
    seen: set[str] = set()

    def find_new(digest: str) -> bytes | None:
        if digest in seen:
            return None
        seen.add(digest)
        return find(digest)

    return find_new


def _is_wanted(row: Fields, architecture: str | None) -> bool:
    """Whether a descriptor is an image, not a statement on one, for us."""
    if row.text_mapping('annotations').get(_ATTESTATION):
        return False
    platform = row.fields('platform')
    found = machine(platform.text('architecture'))
    return (not found or not architecture or
            (found == machine(architecture) and
             platform.text('os') in ('', 'linux')))


def _oci_manifest(fields: Fields) -> Manifest:
    return Manifest(
        blob_name(_digest(fields.fields('config'))),
        tuple(blob_name(_digest(row)) for row in fields.rows('layers')))


def _digest(descriptor: Fields) -> str:
    digest = descriptor.text('digest')
    if not _DIGEST.fullmatch(digest):
        raise descriptor.refusal('digest', _('must be a sha256 digest'))
    return digest


def blob_name(digest: str) -> str:
    return 'blobs/' + digest.replace(':', '/')


def docker_manifest(config: str, tag: str, layers: list[str]) -> bytes:
    return _written([{'Config': config, 'RepoTags': [tag],
                      'Layers': layers}])
