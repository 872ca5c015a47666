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

"""Files that the engine keeps for a container."""

from collections.abc import Mapping
from collections.abc import Sequence
import ipaddress
import os
import stat

from novadocker import privileged
from novadocker.privileged import checks

# What the engine puts into every container's hosts file.
_STANDARD_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@privileged.ctxt.entrypoint
def write_name_service(resolv_conf_path: str, hosts_path: str,
                       nameservers: Sequence[str],
                       search_domains: Sequence[str],
                       hosts: Mapping[str, Sequence[str]]) -> None:
    """Rewrite a container's resolv.conf and hosts.

    Containers have the files mounted, so they are rewritten in place and
    never created or replaced.

    :param hosts: names by address, beside the standard ones of localhost
    :raises: ValueError, OSError
    """
    for path in (resolv_conf_path, hosts_path):
        checks.check(checks.ENGINE_FILE, path)
    resolv_conf = ['nameserver %s\n' % ipaddress.ip_address(server)
                   for server in nameservers]
    if search_domains:
        resolv_conf.append('search %s\n' % checks.joined_names(search_domains))
    lines = ['%s\t%s\n' % (ipaddress.ip_address(address),
                           checks.joined_names(names))
             for address, names in hosts.items()]
    _rewrite(resolv_conf_path, ''.join(resolv_conf))
    _rewrite(hosts_path, _STANDARD_HOSTS + ''.join(lines))


def _rewrite(path: str, text: str) -> None:
    """Replace the content, keeping the inode that containers have mounted.

    A file that says so already is left alone. The new content is there before
    the end is cut off, so that no reader finds the file empty.
    """
    content = text.encode()
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, 'r+b', buffering=0) as target:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError('not a regular file: %s' % path)
        if target.read(len(content) + 1) == content:
            return
        target.seek(0)
        target.write(content)
        target.truncate(len(content))
