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

"""The ``[docker]`` options of nova.conf, the only place that defines any."""

import itertools

from oslo_config import cfg
from oslo_config import types

import nova.conf

docker_group = cfg.OptGroup(
    'docker', title='Docker driver',
    help='How nova-compute runs servers as containers of a Docker Engine.')

engine_opts = [
    cfg.StrOpt(
        'host_url', default='unix:///var/run/docker.sock',
        help="""
The Docker Engine that runs the servers of this host.

The engine has to run on the same kernel as nova-compute: networks are
plugged into the namespaces of its containers.

Possible values:

* ``unix:///path/to/socket``; the user that runs nova-compute needs write
  access to the socket.
* ``tcp://address:port``; encrypted and verified when ``ca_file`` is set.
  Without TLS anyone who reaches the port is root on the host, so a warning
  is logged at start.

Related options:

* ``ca_file``, ``cert_file``, ``key_file``, ``api_insecure``
"""),
    cfg.StrOpt(
        'ca_file',
        help="""
Certificate authority that signed the certificate of a ``tcp://`` engine.

Possible values:

* Path of a PEM file.
* Unset (default): no TLS, unless ``cert_file`` or ``api_insecure`` is set;
  with ``cert_file``, the authorities of the system are trusted.

Related options:

* ``host_url``, ``cert_file``, ``key_file``, ``api_insecure``
"""),
    cfg.StrOpt(
        'cert_file',
        help="""
Certificate that nova-compute shows to a ``tcp://`` engine.

Possible values:

* Path of a PEM file; ``key_file`` has to be set as well.
* Unset (default): no client certificate.
"""),
    cfg.StrOpt(
        'key_file',
        help="""
Private key of the certificate in ``cert_file``.

Possible values:

* Path of a PEM file, without passphrase; ``cert_file`` has to be set too.
* Unset (default): no client certificate.
"""),
    cfg.BoolOpt(
        'api_insecure', default=False,
        help="""
Talk TLS to a ``tcp://`` engine without verifying its certificate.

Possible values:

* ``False`` (default): the certificate must be signed by ``ca_file``.
* ``True``: any certificate is taken. Whoever can redirect the connection
  then controls every server of this host.
"""),
    cfg.IntOpt(
        'api_timeout', default=60, min=1,
        help="""
Longest wait, in seconds, for the engine to answer an ordinary call.

The wait for a server to shut down comes on top. A call that takes longer
fails as if the engine were down.

Possible values:

* 1 or more seconds; 60 is ample on a host that is not overloaded.
"""),
    cfg.IntOpt(
        'stream_timeout', default=600, min=0,
        help="""
Longest silence, in seconds, of the engine while it loads, saves or commits
an image.

The engine says nothing while it unpacks a large image, so this bounds the
time for the largest image on the slowest disk.

Possible values:

* 1 or more seconds.
* 0: wait for ever. An engine that hangs then keeps a server in BUILD.
"""),
]

server_opts = [
    cfg.FloatOpt(
        'start_grace_period', default=0.3, min=0,
        help="""
Time, in seconds, that the process of a new server has to stay alive for the
server to become ACTIVE.

A process that exits sooner fails the boot; its exit code and the end of its
log become the server's fault. Every boot lasts at least this long.

Possible values:

* 0: do not wait. A server whose process fails at once becomes ACTIVE, and
  is found stopped by the next power state sync.
* A fraction of a second catches wrong commands and missing files, a few
  seconds most wrong configurations.
"""),
    cfg.ListOpt(
        'dns_servers', item_type=types.IPAddress(), default=[],
        help="""
Name servers of servers for whose subnets Neutron names none.

A virtual machine would hear of some by DHCP all the same. ML2/OVN tells
those of Neutron's option ``[ovn] dns_servers``, which cannot be seen from
here: give the same list. Where ML2/OVS runs DHCP agents, a server gets the
agent's address, as by DHCP, and this option is not asked.

Possible values:

* List of IPv4 and IPv6 addresses, divided by commas.
* Empty (default): such servers resolve no name but their own.
"""),
    cfg.BoolOpt(
        'metadata_as_environment', default=True,
        help="""
Give each item of a server's metadata to its process as an environment
variable, as it was when the server was created.

Possible values:

* ``True`` (default)
* ``False``: the environment holds only what the image sets.
"""),
    cfg.BoolOpt(
        'privileged', default=False,
        help="""
Allow flavors to ask for privileged containers.

A server is privileged only if this option is ``True`` and its flavor has the
extra spec ``docker:privileged=true``. The user of a privileged server is
root on the host.

Possible values:

* ``False`` (default): no server is privileged, whatever its flavor says.
* ``True``
"""),
    cfg.IntOpt(
        'pids_limit', default=2048, min=1,
        help="""
Number of processes and threads that one server may have.

Possible values:

* 1 or more; the flavor extra spec ``docker:pids_limit`` takes precedence.
"""),
    cfg.StrOpt(
        'seccomp_profile',
        help="""
Which system calls servers may use. Privileged servers are not restricted.

The driver's own profile is the default one of Docker Engine 29 less all
families of sockets but Unix, IPv4, IPv6, netlink and packet. AF_ALG, AF_RXRPC,
AF_RDS and others, by which kernels were attacked, are out of reach on older
engines too. 32-bit programs that use ``socketcall`` have no network: those of
glibc on x86, not those of musl.

Possible values:

* Unset (default): the driver's own profile.
* Path of a profile in JSON that nova-compute can read, in the format of
  ``docker run --security-opt seccomp=``. It is read once.
* ``engine``: the engine's default, or what its ``daemon.json`` names. Needed
  on s390x, where the C library knows ``socketcall`` only.
"""),
    cfg.IntOpt(
        'log_max_size', default=10, min=1,
        help="""
Size, in MiB, at which the engine rotates the console log of a server.

Possible values:

* 1 or more. A server's logs take at most ``log_max_size`` times
  ``log_max_files`` on the host's disk, beside its flavor's disk.

Related options:

* ``log_max_files``
"""),
    cfg.IntOpt(
        'log_max_files', default=2, min=1,
        help="""
Number of rotated console log files that the engine keeps for a server.

Possible values:

* 1: the log starts anew each time it reaches ``log_max_size``.
* 2 or more: that many files are kept, the one being written included.

Related options:

* ``log_max_size``
"""),
    cfg.IntOpt(
        'snapshot_max_size', default=20, min=1,
        help="""
Most that a server without a disk size may have written when it is
snapshotted or shelved, in GiB.

The engine writes it out anew, holes of sparse files included, and needs up
to three times as much of the host's disk meanwhile. A server whose flavor
has a disk size may have written as much as that.

Possible values:

* 1 or more; a larger server is left as it is, and the snapshot is refused.
"""),
    cfg.StrOpt(
        'sandbox_image',
        help="""
Image of the small container that holds a server's network namespace.

Its process must do nothing but wait to be killed.

Possible values:

* Unset (default): the driver makes the image itself, on x86_64 and aarch64.
* Name of an image that the engine has already, for machines of another
  kind, such as ``pause:3.9``. It is never downloaded.
"""),
    cfg.BoolOpt(
        'allow_healthcheck', default=False,
        help="""
Keep the health check that an image declares.

The engine runs the command of a health check inside the server again and
again, for as long as the server lives: its processes are the engine's own
work, which the limits of the server do not bound. Nova shows no health.

Possible values:

* False (default): images are loaded without their health checks.
* True: health checks are kept. Intervals and timeouts are at least 1 second
  and at most 24 hours, whatever the image says. Images that are loaded
  already stay as they are.
"""),
    cfg.StrOpt(
        'shared_directory',
        help="""
Directory with image archives that are used instead of a download.

A file named after the id of a Glance image replaces the download of that
image. It goes through the same checks as a download, the checksum that
Glance knows included. Where a signature is to be verified, the image is
downloaded all the same.

Possible values:

* Path of a directory that nova-compute can read.
* Unset (default): images come from Glance.
"""),
]

_NO_MEANING = 'Accepted so that an old nova.conf still starts; ignored. '

deprecated_opts = [
    cfg.StrOpt(
        'root_directory', deprecated_for_removal=True,
        deprecated_since='1.0.0',
        deprecated_reason='The engine itself says where its data is.',
        help=_NO_MEANING + 'The engine is asked for its data directory.'),
    cfg.StrOpt(
        'snapshots_directory', deprecated_for_removal=True,
        deprecated_since='1.0.0',
        deprecated_reason='Images and snapshots are streamed; no copy is '
                          'kept on disk.',
        help=_NO_MEANING + 'No temporary copies are written any more.'),
    cfg.StrOpt(
        'vif_driver', deprecated_for_removal=True,
        deprecated_since='1.0.0',
        deprecated_reason='Ports are plugged by os-vif; the networks that '
                          'needed drivers of their own are gone.',
        help=_NO_MEANING + 'Ports are plugged by os-vif.'),
    cfg.BoolOpt(
        'inject_key', default=False, deprecated_for_removal=True,
        deprecated_since='1.0.0',
        deprecated_reason='Keys reach a server through the metadata '
                          'service and the config drive.',
        help=_NO_MEANING + (
            'Images take the key from the metadata service or the config '
            'drive.')),
]

ALL_OPTS = list(itertools.chain(engine_opts, server_opts, deprecated_opts))


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options known to a ConfigOpts; harmless to repeat."""
    conf.register_group(docker_group)
    conf.register_opts(ALL_OPTS, group=docker_group)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Entry point of ``oslo.config.opts``."""
    return [(docker_group, ALL_OPTS)]


CONF = nova.conf.CONF
register_opts(CONF)
