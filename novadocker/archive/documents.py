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

"""JSON documents from anyone, read strictly, and written anew.

Go, which the engine is written in, matches the keys of JSON objects in any
letter case and lets the last one win, so a document may mean one thing here
and another there. Nothing of the author's JSON reaches the engine: what is
understood here, field by field and type by type, is written out again.
"""

from collections.abc import Mapping
import datetime
import json
import re
import typing

from novadocker.archive import words
from novadocker.i18n import _

# Bounds the memory of the parsed document, not only of its text. A range of
# all ports that an image exposes has two for each.
_MOST_TOKENS = 200_000
_MOST_DIGITS = 20
_MOST_ENTRIES = 4096
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?'
                   r'(Z|[+-]\d\d:\d\d)', re.ASCII)


def parse(data: bytes, what: str) -> typing.Any:
    """Strict JSON: UTF-8, no NaN, no key twice, bounded in every way."""
    if sum(map(data.count, (b'{', b'[', b','))) > _MOST_TOKENS:
        raise unusable(what, _('it has too many elements'))
    try:
        return json.loads(data.decode('utf-8'), object_pairs_hook=_object,
                          parse_int=_integer, parse_constant=_constant)
    except RecursionError as err:
        raise unusable(what, _('it is nested too deeply')) from err
    except ValueError as err:
        raise unusable(what, _('it is no valid JSON (%s)') %
                       ascii(str(err))[1:-1][:200]) from err


def _object(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('an object has the same key twice')
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError('a number has too many digits')
    return int(digits)


def _constant(name: str) -> typing.NoReturn:
    raise ValueError('%s is no JSON' % name)


def unusable(what: str, reason: str) -> words.ArchiveError:
    return words.refusal(_('%(what)s cannot be used: %(reason)s') % {
        'what': what, 'reason': reason})


class Fields:
    """The fields of one JSON object, taken by name and checked type.

    null stands for an absent field, as in Go.
    """

    def __init__(self, value: object, what: str):
        self._what = what
        if not isinstance(value, dict):
            raise unusable(what, _('it is no JSON object'))
        self._value = value
        self._refuse_colliding_keys()

    def _refuse_colliding_keys(self) -> None:
        if len({key.casefold() for key in self._value}) < len(self._value):
            raise unusable(self._what, _(
                'two of its keys differ in letter case only'))

    def refusal(self, key: str, reason: str) -> words.ArchiveError:
        return unusable(self._what, _('field %(key)s %(reason)s') % {
            'key': key, 'reason': reason})

    def _typed(self, key: str, kind: type, expected: str) -> typing.Any:
        value = self._value.get(key)
        if value is not None and not _is(value, kind):
            raise self.refusal(key, _('must be %s') % expected)
        return value

    def text(self, key: str) -> str:
        return self._clean(key, self._typed(key, str, _('a string')) or '')

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, bool, _('true or false')))

    def number(self, key: str) -> int:
        value: int = self._typed(key, int, _('a whole number')) or 0
        if not -1 << 63 <= value < 1 << 63:
            raise self.refusal(key, _('is out of range'))
        return value

    def time(self, key: str) -> str:
        """A time that Go can read (RFC 3339), or nothing."""
        value = self.text(key)
        if value and not _is_time(value):
            raise self.refusal(key, _('is no time as of RFC 3339'))
        return value

    def items(self, key: str) -> list[object]:
        value: list[object] = self._typed(key, list, _('a list')) or []
        if len(value) > _MOST_ENTRIES:
            raise self.refusal(key, _('has more than %d entries') %
                               _MOST_ENTRIES)
        return value

    def texts(self, key: str) -> list[str]:
        found: list[str] = []
        for value in self.items(key):
            if not isinstance(value, str):
                raise self.refusal(key, _('must be a list of strings'))
            found.append(self._clean(key, value))
        return found

    def words(self, key: str) -> list[str]:
        """A list of strings; the oldest images have a bare string."""
        if isinstance(self._value.get(key), str):
            return [self.text(key)]
        return self.texts(key)

    def mapping(self, key: str,
                most: int = _MOST_ENTRIES) -> dict[str, object]:
        """An object whose keys are data, so that their case matters."""
        value = self._typed(key, dict, _('an object')) or {}
        if len(value) > most:
            raise self.refusal(key, _('has more than %d entries') % most)
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


def _is(value: object, kind: type) -> bool:
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


def present(document: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Only the fields that say anything."""
    return {key: value for key, value in document.items() if value}


def written(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False,
                      separators=(',', ':')).encode('utf-8')
