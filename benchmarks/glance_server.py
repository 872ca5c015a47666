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

"""A Glance that a benchmark can afford: one directory, served over HTTP.

``python -m benchmarks.glance_server DIRECTORY`` prints the port it listens
on. An image is ``ID.json``, its record, and ``ID.data``. It is a process of
its own, so that what Nova and glanceclient cost is measured and what a
Glance costs is not.
"""

import http.server
import json
import os
import re
import sys

_IMAGE = re.compile(r'/v2/images/([\w-]+)')
_FILE = re.compile(r'/v2/images/([\w-]+)/file')
# What is no property of its owner's.
_ATTRIBUTES = (
    'id', 'name', 'status', 'visibility', 'size', 'virtual_size', 'checksum',
    'os_hash_algo', 'os_hash_value', 'os_hidden', 'container_format',
    'disk_format', 'min_disk', 'min_ram', 'owner', 'protected', 'tags',
    'created_at', 'updated_at', 'file', 'schema', 'self')
_SCHEMA = {'name': 'image', 'properties': {name: {} for name in _ATTRIBUTES},
           'additionalProperties': {'type': 'string'}}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_arguments):
        """Say nothing."""

    def do_GET(self):
        if found := _FILE.fullmatch(self.path):
            self._send_data(found[1])
        elif found := _IMAGE.fullmatch(self.path):
            self._send_json(_record(found[1]))
        else:
            self._send_json(_SCHEMA)

    def do_PATCH(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self._send_json(_record(_IMAGE.match(self.path)[1]))

    def do_PUT(self):
        with open(_FILE.fullmatch(self.path)[1] + '.data', 'wb') as target:
            while size := int(self.rfile.readline(), 16):
                target.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.send_response(204)
        self.end_headers()

    def _send_json(self, answer) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_data(self, image_id: str) -> None:
        with open(image_id + '.data', 'rb') as data:
            self.send_response(200)
            self.send_header('Content-Type', 'application/octet-stream')
            self.send_header('Content-Length',
                             str(os.fstat(data.fileno()).st_size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(data)


def _record(image_id: str) -> dict:
    try:
        with open(image_id + '.json') as record:
            return json.load(record)
    except FileNotFoundError:
        return {'id': image_id, 'status': 'queued'}


def main() -> None:
    os.chdir(sys.argv[1])
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
