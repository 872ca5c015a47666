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


"""Names of what the seed makes; importable without any client library."""

DEMO = 'demo'
GROUP = 'ping-and-ssh'
IMAGE = 'ssh'
IMAGE_ALT = 'ssh-alt'
KEYPAIR = 'quickstart'
NETWORK = 'private'
PUBLIC = 'public'
ROUTER = 'router'
SERVER = 'first'
SUBNET_POOL = 'private-pool'
STACK = 'hello'
FLAVOR = 'c1.micro'

# name, vcpus, MiB of memory, GiB of disk
FLAVORS = (('c1.nano', 1, 64, 1), ('c1.micro', 1, 128, 1),
           ('c1.small', 1, 512, 4), ('c1.medium', 2, 1024, 8))
