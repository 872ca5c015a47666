#!/bin/bash
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

# The phases of stack.sh, unstack.sh and clean.sh. What they do is in
# lib/nova-docker; why each thing has its phase, in the manual ("DevStack").
#
# DevStack sources this file with errexit set: a phase that fails stops it.

source "$NOVA_DOCKER_DIR/devstack/lib/nova-docker"

case "$1 $2" in
"stack pre-install")
    if is_service_enabled n-cpu; then
        install_nova_docker_engine
        allow_nova_docker_engine
    fi
    ;;
"stack install")
    install_nova_docker
    ;;
"stack post-config")
    # configure_nova made nova.conf and rootwrap.d anew just before.
    configure_nova_docker
    if is_service_enabled g-api; then
        configure_nova_docker_glance
    fi
    if [[ $DOCKER_HEAT_PLUGIN == True ]]; then
        configure_nova_docker_heat
    fi
    ;;
"stack extra")
    # By now local.conf's own [[post-config]] sections were merged.
    if is_service_enabled g-api; then
        confirm_nova_docker_glance
        upload_nova_docker_image
    fi
    ;;
"stack test-config")
    # tempest.conf was written from nothing just before.
    if is_service_enabled tempest; then
        configure_nova_docker_tempest
    fi
    ;;
"unstack ")
    # Servers are kept, as libvirt's are, and so are packages and the engine:
    # other people's containers may run in it. clean.sh removes the servers.
    echo "nova-docker: the engine and the servers' containers are kept"
    ;;
"clean ")
    cleanup_nova_docker
    ;;
esac
