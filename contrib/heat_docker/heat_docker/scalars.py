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

"""What the scalars of a template mean where an engine knows only text.

YAML reads ``3600`` as a number, ``true`` as a boolean and nothing as null;
who writes ``cmd: [sleep, 3600]`` means the word, as in a shell.
"""

from heat.common.i18n import _


def text(name: str, value: object) -> str:
    """A scalar as it was written.

    Null is no text. So is what Heat knows only later: it is null when the
    template is validated.

    :param name: the property, for the message
    :raises: ValueError if it is no scalar
    """
    if value is None:
        return ''
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(_(
        'Property %(name)s: %(value)s is no text; quote it if it is meant to '
        'be.') % {'name': name, 'value': value})


def flag(name: str, value: object) -> bool:
    """A boolean, also as a parameter of type string or json has it.

    :raises: ValueError
    """
    words = {'': False, 'false': False, 'true': True}
    word = text(name, value).lower()
    if word not in words:
        raise ValueError(_('Property %(name)s: %(value)s is neither true nor '
                           'false.') % {'name': name, 'value': value})
    return words[word]
