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

"""Glance images in the engine: loaded once, checked, pruned when unused.

An image's data flows from Glance through a hash and the archive sanitiser
into the engine, in blocks; nothing of image size is held in memory or on
disk. The engine knows the image under one tag of ours, made from Glance's
id and checksum. Names inside an archive never matter.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import threading
import typing

from oslo_log import log as logging
from oslo_utils import timeutils
from oslo_utils import units
import tenacity

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from novadocker import archive
from novadocker import conf
from novadocker.virt.docker.engine import client as docker_client
from novadocker.virt.docker.engine import exception
from novadocker.virt.docker.engine import model
from novadocker.virt.docker.engine import turns
from novadocker.virt.docker import hostops
from novadocker.virt.docker import imageproperties
from novadocker.virt.docker import imagestore
from novadocker.virt.docker import names
from novadocker.virt.docker import rollback

CONF = conf.CONF
LOG = logging.getLogger(__name__)


class ImageOps:
    """:param client: the engine's client
    :param host: HostOps, which knows what the engine runs
    :param store: ImageStore
    """

    def __init__(self, client: docker_client.DockerClient,
                 host: hostops.HostOps, store: imagestore.ImageStore):
        self._client = client
        self._host = host
        self._store = store
        self._lock = threading.Lock()
        self._turns = turns.Turns()
        self._holders: collections.Counter[str] = collections.Counter()
        self._unproved: set[str] = set()
        self._unused_since: dict[str, float] = {}

    @contextlib.contextmanager
    def held(self, context: nova_context.RequestContext,
             instance: 'objects.Instance',
             image_meta: 'objects.ImageMeta') -> Iterator[model.Image]:
        """Yield the server's image, loaded if need be, and keep it meanwhile.

        If the block fails, an image that was loaded for it is removed again,
        unless another server uses it.

        :raises: ImageUnacceptable, FlavorDiskSmallerThanImage, DownloadError
        """
        tag = names.image_tag(image_meta.id, image_meta.obj_attr_is_set(
            'checksum') and image_meta.checksum or None)
        with self._holding(tag):
            image = self._ensure(
                context, tag, image_meta.id, instance.trusted_certs,
                max_unpacked_bytes=instance.flavor.root_gb * units.Gi)
            _check_fits(instance, image)
            yield image

    def properties(self, context: nova_context.RequestContext,
                   instance: 'objects.Instance') -> dict[str, str]:
        """Properties of the image that the server is made from, whole."""
        return imageproperties.of_server(self._store, context, instance)

    def cache(self, context: nova_context.RequestContext,
              image_id: str) -> bool:
        """Load an image ahead of need; False if it was there already."""
        image = self._store.get(context, image_id)
        tag = names.image_tag(image_id, image.get('checksum'))
        if self._client.find_image(tag):
            return False
        with self._holding(tag):
            self._ensure(context, tag, image_id)
        return True

    def prune(self, instances: 'Iterable[objects.Instance]') -> None:
        """Remove images of ours that no server has used for long.

        How long is Nova's ``[image_cache]
        remove_unused_original_minimum_age_seconds``, counted from when this
        process first saw the image unused.
        """
        if not CONF.image_cache.remove_unused_base_images:
            return
        used = {instance.image_ref for instance in instances}
        unused = [tag for image in self._client.list_images(
                      names.IMAGE_NAMESPACE + '/*')
                  for tag in image.tags
                  if names.image_id_of_tag(tag) not in used | {None}]
        now = timeutils.now()
        self._unused_since = {tag: self._unused_since.get(tag, now)
                              for tag in unused}
        age = CONF.image_cache.remove_unused_original_minimum_age_seconds
        for tag, since in self._unused_since.items():
            if now - since >= age:
                self._remove_if_unused(tag)

    def remove_if_untagged(self, image_id: str) -> None:
        """Remove an image that only one server had, and nothing names.

        Such is the image of a server that was moved to a new container.
        """
        image = self._client.find_image(image_id)
        if image is not None and not image.tags:
            self._try_to_remove(image_id)

    @contextlib.contextmanager
    def _holding(self, tag: str) -> Iterator[None]:
        """Keep what is loaded meanwhile; for good if the block succeeds."""
        with rollback.always_undo(None, 'release image', self._release, tag):
            with self._lock:
                self._holders[tag] += 1
            yield
            with self._lock:
                self._unproved.discard(tag)

    def _release(self, tag: str) -> None:
        with self._lock:
            self._holders[tag] -= 1
            orphaned = tag in self._unproved and not self._holders[tag]
        if orphaned:
            self._remove_if_unused(tag)

    def _remove_if_unused(self, tag: str) -> None:
        with self._turns.taken(tag):
            with self._lock:
                if self._holders[tag]:
                    return
                self._unproved.discard(tag)
            self._try_to_remove(tag)

    def _try_to_remove(self, image: str) -> None:
        try:
            self._client.remove_image(image)
            LOG.info('Removed the unused image %s', image)
        except exception.ImageNotFound:
            LOG.debug('Image %s is gone already', image)
        except exception.Conflict:
            LOG.debug('Image %s is used by a container', image)

    def _ensure(self, context: nova_context.RequestContext, tag: str,
                image_id: str,
                trusted_certs: 'objects.TrustedCerts | None' = None,
                max_unpacked_bytes: int = 0) -> model.Image:
        """One load per image, however many servers ask for it at once.

        :param max_unpacked_bytes: 0 for the sanitiser's own limit
        """
        with self._turns.taken(tag):
            image = self._client.find_image(tag)
            if image is None:
                with self._lock:
                    self._unproved.add(tag)
                self._load(context, tag, image_id, trusted_certs,
                           max_unpacked_bytes)
                image = self._client.get_image(tag)
            return image

    def _load(self, context: nova_context.RequestContext, tag: str,
              image_id: str, *how: typing.Any) -> None:
        watch = timeutils.StopWatch()
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(imagestore.DownloadError),
            stop=tenacity.stop_after_attempt(CONF.glance.num_retries + 1),
            before_sleep=_log_retry, reraise=True)
        with watch:
            attempts(self._stream, context, tag, image_id, *how)
        LOG.info('Loaded image %s in %.1f s', image_id, watch.elapsed())

    def _stream(self, context: nova_context.RequestContext, tag: str,
                image_id: str, trusted_certs: 'objects.TrustedCerts | None',
                max_unpacked_bytes: int) -> None:
        image = self._store.get(context, image_id)
        limits = _limits(image, max_unpacked_bytes)

        def send(sizes: Mapping[str, int]) -> None:
            self._client.load(archive.sanitise(
                self._store.data(context, image, trusted_certs), tag, limits,
                _rules(self._host.engine.architecture), sizes))

        try:
            _send_again_if_needed(send)
        except archive.ArchiveError as err:
            raise nova_exception.ImageUnacceptable(
                image_id=image_id, reason=str(err)) from err


def _check_fits(instance: 'objects.Instance', image: model.Image) -> None:
    root_bytes = instance.flavor.root_gb * units.Gi
    if root_bytes and image.size_bytes > root_bytes:
        raise nova_exception.FlavorDiskSmallerThanImage(
            flavor_size=root_bytes, image_size=image.size_bytes)


def _limits(image: Mapping[str, typing.Any],
            max_unpacked_bytes: int) -> archive.Limits:
    limits = archive.Limits(max_archive_bytes=image.get('size') or None)
    if max_unpacked_bytes:
        limits = dataclasses.replace(
            limits, max_unpacked_bytes=max_unpacked_bytes)
    return limits


def _send_again_if_needed(send: Callable[[Mapping[str, int]], None]) -> None:
    """Some layers can be repacked only when their size is known."""
    try:
        send({})
    except archive.ReadAgain as again:
        LOG.info('Downloading the image once more: %s', again)
        send(again.sizes)


def _rules(architecture: str) -> archive.Rules:
    return archive.Rules(
        architecture=architecture, reserved_labels=names.LABEL_PREFIX,
        volumes_label=names.LABEL_VOLUMES,
        unpacked_label=names.LABEL_UNPACKED_BYTES,
        allow_healthcheck=CONF.docker.allow_healthcheck)


def _log_retry(state: tenacity.RetryCallState) -> None:
    LOG.warning('%s Trying again.',
                state.outcome and state.outcome.exception())
