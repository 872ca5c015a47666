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

"""Properties of a server's image, whole.

Nova keeps them with the server, cut to 255 bytes, and writes these copies
into the record of a snapshot. A command that was cut is another command.
"""

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova import utils as nova_utils

from novadocker.virt.docker import imagestore

_PREFIX = nova_utils.SM_IMAGE_PROP_PREFIX
_KEPT_BYTES = 255
# A cut amid a character leaves up to three bytes less.
_SUSPECT_BYTES = _KEPT_BYTES - 3


def of_server(store: imagestore.ImageStore,
              context: nova_context.RequestContext,
              instance: 'objects.Instance') -> dict[str, str]:
    """Properties of the image that the server is made from.

    Glance is asked only for those that may be cut. One that it has no longer
    is left out: the image then says itself what to run.
    """
    kept = _kept(instance)
    cut = _cut(kept)
    if not cut:
        return kept
    whole = store.get(context, instance.image_ref)['properties']
    return {key: value if key not in cut else whole[key]
            for key, value in kept.items()
            if key not in cut or key in whole}


def for_snapshot(store: imagestore.ImageStore,
                 context: nova_context.RequestContext,
                 instance: 'objects.Instance',
                 image_id: str) -> dict[str, str]:
    """Properties to set in a snapshot's record, in which Nova cut them.

    What the server runs is in the snapshot itself. So a property that is
    known no more, as its image was deleted or changed, is made empty where
    the driver would follow it.
    """
    cut = _cut(_kept(instance))
    if not cut:
        return {}
    inherited = store.get(context, image_id)['properties']
    known = _known(store, context, instance.image_ref)
    whole = {key: known[key] for key, value in cut.items()
             if _as_nova_keeps(known.get(key, '')) == value}
    unknown = dict.fromkeys(filter(_says_what_runs, cut), '')
    return {key: value for key, value in {**unknown, **whole}.items()
            if key in inherited}


def _kept(instance: 'objects.Instance') -> dict[str, str]:
    return {key.removeprefix(_PREFIX): value
            for key, value in instance.system_metadata.items()
            if key.startswith(_PREFIX) and value}


def _cut(kept: dict[str, str]) -> dict[str, str]:
    """Those that may be cut: Nova does not say which are."""
    return {key: value for key, value in kept.items()
            if len(str(value).encode()) >= _SUSPECT_BYTES}


def _says_what_runs(key: str) -> bool:
    return key == 'os_command_line' or key.startswith('docker_')


def _known(store: imagestore.ImageStore,
           context: nova_context.RequestContext,
           image_id: str) -> dict[str, str]:
    try:
        properties: dict[str, str] = store.get(
            context, image_id)['properties']
    except (nova_exception.ImageNotFound,
            nova_exception.ImageNotAuthorized):
        return {}
    return properties


def _as_nova_keeps(value: str) -> str:
    kept: str = nova_utils.safe_truncate(value, _KEPT_BYTES)
    return kept
