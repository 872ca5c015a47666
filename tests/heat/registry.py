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

"""A registry of one image, enough to be pulled from (OCI distribution)."""

import gzip
import http.server
import json
import threading

import fixtures

from tests.fakes import archives

_TYPE = 'application/vnd.docker.%s'


class Registry(fixtures.Fixture):
    """``reference`` is what to pull."""

    def __init__(self, layer: bytes, **settings):
        super().__init__()
        self._layer = gzip.compress(layer, mtime=0)
        self._config = archives.config([layer], **settings)

    def _setUp(self):
        manifest = json.dumps({
            'schemaVersion': 2,
            'mediaType': _TYPE % 'distribution.manifest.v2+json',
            'config': _descriptor('container.image.v1+json', self._config),
            'layers': [_descriptor('image.rootfs.diff.tar.gzip',
                                   self._layer)]}).encode()
        blobs = {archives.digest(data): data
                 for data in (self._config, self._layer)}
        server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), _handler(manifest, blobs))
        self.addCleanup(server.server_close)
        serving = threading.Thread(target=server.serve_forever,
                                   name='registry')
        serving.start()
        self.addCleanup(serving.join)
        self.addCleanup(server.shutdown)
        self.reference = '127.0.0.1:%d/busybox:1' % server.server_port


def _descriptor(kind: str, data: bytes) -> dict:
    return {'mediaType': _TYPE % kind, 'size': len(data),
            'digest': archives.digest(data)}


def _handler(manifest: bytes, blobs: dict[str, bytes]) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):

        def do_GET(self):
            *_rest, kind, name = self.path.split('/')
            data = {'manifests': manifest, 'v2': b'{}'}.get(
                kind, blobs.get(name))
            self.send_response(200)
            self.send_header('Content-Length', str(len(data)))
            self.send_header('Docker-Content-Digest', archives.digest(data))
            if kind == 'manifests':
                self.send_header(
                    'Content-Type',
                    _TYPE % 'distribution.manifest.v2+json')
            self.end_headers()
            if self.command == 'GET':
                self.wfile.write(data)

        do_HEAD = do_GET

        def log_message(self, *_arguments):
            """Say nothing."""

    return Handler
