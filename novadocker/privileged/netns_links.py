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

"""The links that show namespaces to ``ip netns``, made through rootwrap."""

import os

from oslo_concurrency import processutils

from novadocker.privileged import checks


def link_namespace(netns_path: str, link: str, root_helper: str) -> None:
    """Make ``link`` show the namespace; a link that does is left alone.

    :param root_helper: not used by a process that is root itself
    :raises: ValueError, ProcessExecutionError
    """
    checks.check(checks.NETNS_PATH, netns_path)
    checks.check(checks.NETNS_LINK, link)
    if os.path.islink(link) and os.readlink(link) == netns_path:
        return
    directory = os.path.dirname(link)
    if not os.path.isdir(directory):
        _as_root(root_helper, 'mkdir', '-p', directory)
    _as_root(root_helper, 'ln', '-sfn', netns_path, link)


def unlink_namespace(link: str, root_helper: str) -> None:
    """Remove a link of ``link_namespace``, if it is there.

    :raises: ValueError, ProcessExecutionError
    """
    checks.check(checks.NETNS_LINK, link)
    if os.path.lexists(link):
        _as_root(root_helper, 'rm', '-f', link)


def _as_root(root_helper: str, *command: str) -> None:
    processutils.execute(*command, run_as_root=True, root_helper=root_helper)
