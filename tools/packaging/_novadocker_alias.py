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

"""Gives ``novadocker`` a second name, ``nova.virt.novadocker``.

Nova imports its driver as ``nova.virt.<compute_driver>``.  This module makes
that name lead to the very module objects of ``novadocker``; nothing is ever
installed below ``nova``, whose own packages such a file would shadow.

Runs at the start of every interpreter of the environment, so it imports
``sys`` and nothing else until the alias is asked for.  Above all it must not
cause an import of nova, eventlet, urllib3 or docker: nova-compute decides
about eventlet before any of them is loaded.
"""

import sys

_ALIAS = 'nova.virt.novadocker'
_PREFIX_LENGTH = len('nova.virt.')


class _NovaVirtAlias:
    """Meta path finder and loader of the alias; holds no state."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname != _ALIAS and not fullname.startswith(_ALIAS + '.'):
            return None
        from importlib import machinery
        return machinery.ModuleSpec(fullname, _NovaVirtAlias)

    @staticmethod
    def create_module(spec):
        # An ordinary, throw-away module. Were it the real one, importlib
        # would overwrite its __spec__ and so break reload and resources.
        return None

    @staticmethod
    def exec_module(module):
        import importlib
        alias = module.__spec__.name
        # importlib hands out what sys.modules holds after this call.
        sys.modules[alias] = importlib.import_module(alias[_PREFIX_LENGTH:])


def install():
    """Register the finder; harmless to repeat."""
    # First of all finders: once the alias is the real package, its __path__
    # would let the ordinary finder load its submodules a second time.
    if _NovaVirtAlias not in sys.meta_path:
        sys.meta_path.insert(0, _NovaVirtAlias)


install()
