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

"""Every operation that needs root, and nothing else.

The links that show namespaces to ``ip netns`` are made through rootwrap, by
the commands that ``etc/nova/rootwrap.d/docker.filters`` allows. All else
runs in a privsep daemon of our own. What crosses over to it is plain strings
and numbers, and it is checked here again: this is the border of trust.

This package is imported by the daemon, so it imports nothing of Nova. Call
its functions by their full names, so that root shows.
"""

from oslo_concurrency import processutils
from oslo_privsep import capabilities
from oslo_privsep import daemon
from oslo_privsep import priv_context

ctxt = priv_context.PrivContext(
    'novadocker', cfg_section='novadocker_privileged',
    pypath=__name__ + '.ctxt',
    capabilities=[
        capabilities.CAP_NET_ADMIN,      # links, addresses, routes
        capabilities.CAP_SYS_ADMIN,      # setns(2)
        capabilities.CAP_SYS_PTRACE,     # open /proc/<pid>/ns/net
        # An engine with userns-remap gives its files to another user.
        capabilities.CAP_DAC_OVERRIDE,
    ])

# What a call may raise: a refusal, the kernel's answer, the daemon or
# rootwrap not starting.
ERRORS = (ValueError, OSError, daemon.FailedToDropPrivileges,
          processutils.ProcessExecutionError)


@ctxt.entrypoint
def start_daemon() -> None:
    """Do nothing, but do it in the daemon, which starts on first use."""
