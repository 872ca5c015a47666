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

"""Every naming rule: containers, labels, image tags, namespace links.

Names are functions of what Nova, Neutron and Glance already know, so that
nothing has to be remembered across a restart of nova-compute.
"""

from oslo_utils import uuidutils

LABEL_PREFIX = 'org.openstack.nova.'
LABEL_UUID = LABEL_PREFIX + 'uuid'
LABEL_NAME = LABEL_PREFIX + 'name'
LABEL_DISPLAY_NAME = LABEL_PREFIX + 'display_name'
LABEL_PROJECT_ID = LABEL_PREFIX + 'project_id'
LABEL_USER_ID = LABEL_PREFIX + 'user_id'
LABEL_HOST = LABEL_PREFIX + 'host'
LABEL_ROLE = LABEL_PREFIX + 'role'
LABEL_IMAGE = LABEL_PREFIX + 'image'
LABEL_FLAVOR = LABEL_PREFIX + 'flavor'
# The id of the container whose place another takes.
LABEL_REPLACES = LABEL_PREFIX + 'replaces'
# Of an image: paths that it declares as volumes (a JSON list), and bytes of
# its layers without compression.
LABEL_VOLUMES = LABEL_PREFIX + 'volumes'
LABEL_UNPACKED_BYTES = LABEL_PREFIX + 'unpacked_bytes'

ROLE_WORKLOAD = 'workload'
ROLE_SANDBOX = 'sandbox'
ROLE_SNAPSHOT = 'snapshot'
ROLE_PROBE = 'probe'

IMAGE_NAMESPACE = 'novadocker'
SANDBOX_IMAGE = IMAGE_NAMESPACE + '/sandbox:1'

NETNS_DIRECTORY = '/var/run/netns'

# An image tag is told apart by enough of the checksum to see that Glance's
# data changed, and stays readable in "docker image ls".
_CHECKSUM_LENGTH = 12

# As long as Nova lets a server's name be.
_LABEL_LENGTH = 255


def workload(instance_uuid: str) -> str:
    """Name of the container that runs the user's process."""
    return 'nova-%s' % instance_uuid


def sandbox(instance_uuid: str) -> str:
    """Name of the container that holds the server's network namespace."""
    return 'nova-%s-sandbox' % instance_uuid


def replacement(instance_uuid: str, replaced: str) -> str:
    """Name of a workload until the container that it replaces is gone.

    :param replaced: that container's id
    """
    return 'nova-%s-%s' % (instance_uuid, replaced[:12])


def probe(host: str) -> str:
    """Name of the container that finds out what the engine can grant."""
    return 'novadocker-probe-%s' % host


def label_text(text: str | None) -> str:
    """What a tenant wrote, fit to be read in an operator's terminal."""
    return ''.join(char if char.isprintable() else '?'
                   for char in (text or '')[:_LABEL_LENGTH])


def netns_link(instance_uuid: str) -> str:
    """Path that makes the namespace visible to ``ip netns``."""
    return '%s/nova-%s' % (NETNS_DIRECTORY, instance_uuid)


def image_tag(image_id: str, checksum: str | None) -> str:
    """The one tag under which the engine keeps a Glance image.

    :param checksum: Glance's ``os_hash_value`` or ``checksum`` in hex;
        None for an image that Glance never hashed.
    """
    return '%s/%s:%s' % (IMAGE_NAMESPACE, image_id,
                         (checksum or 'unhashed')[:_CHECKSUM_LENGTH])


def snapshot_tag(image_id: str) -> str:
    """The name of an image in the archive of a snapshot."""
    return 'nova-snapshot:%s' % image_id


def image_id_of_tag(tag: str) -> str | None:
    """Glance id of an image tag; None for a tag that is no such image's."""
    namespace, _slash, rest = tag.partition('/')
    image_id = rest.partition(':')[0]
    if namespace != IMAGE_NAMESPACE or not uuidutils.is_uuid_like(image_id):
        return None
    return image_id


def guest_interface(index: int) -> str:
    """Name of a server's n-th interface, in the order of its ports."""
    return 'eth%d' % index
