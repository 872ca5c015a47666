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

# Make an existing DevStack use this checkout of nova-docker.
#
# Run it as the user who runs stack.sh. A second run changes nothing.
#
#   INSTALLDIR  where DevStack is: $INSTALLDIR/devstack (default /opt/stack)
#   SYSCONFDIR  where services are configured (default /etc)

set -e -o pipefail

NOVA_DOCKER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
INSTALLDIR=${INSTALLDIR:-/opt/stack}
SYSCONFDIR=${SYSCONFDIR:-/etc}
DEVSTACK=$INSTALLDIR/devstack
DATA_DIR=${DATA_DIR:-$INSTALLDIR/data}
NOVA_CONF_DIR=$SYSCONFDIR/nova
GLANCE_API_CONF=$SYSCONFDIR/glance/glance-api.conf
DOCKER_SOCKET=${DOCKER_SOCKET:-/var/run/docker.sock}
BEGIN='# nova-docker: begin'
END='# nova-docker: end'

changes=()
undo=()
restart=()

fail() {
    echo "prepare_devstack.sh: $*" >&2
    exit 1
}

# changed what how-to-undo
changed() {
    changes+=("$1")
    undo+=("$2")
}

# -- what the next stack.sh reads ----------------------------------------

# DevStack ignores the [[local|localrc]] section of local.conf as soon as there
# is a localrc, so a localrc is used where there is one, and never made.
settings_file() {
    if [[ -e $DEVSTACK/localrc ]]; then
        echo "$DEVSTACK/localrc"
    else
        echo "$DEVSTACK/local.conf"
    fi
}

# A name that git clone --branch takes, where there is one.
current_branch() {
    local git=(git -c safe.directory="*" -C "$NOVA_DOCKER_DIR")
    "${git[@]}" symbolic-ref --short -q HEAD ||
        "${git[@]}" describe --tags --exact-match 2>/dev/null ||
        "${git[@]}" rev-parse HEAD ||
        fail "$NOVA_DOCKER_DIR is not a git checkout, which DevStack needs"
}

block() {
    local branch
    branch=$(current_branch)
    echo "$BEGIN"
    echo 'VIRT_DRIVER=docker'
    echo "enable_plugin nova-docker $NOVA_DOCKER_DIR $branch"
    if [[ $NOVA_DOCKER_DIR != "$INSTALLDIR/nova-docker" ]]; then
        echo "GITDIR[nova-docker]=$NOVA_DOCKER_DIR"
    fi
    echo "$END"
}

# Copy local.conf with the block at the end of its last [[local|localrc]]
# section, or in a new one.
# with_block file
with_block() {
    BLOCK=$(block) awk '
        { line[NR] = $0 }
        /^\[\[local\|localrc\]\]/ { open = 1; last = NR; next }
        /^\[\[.+\|.*\]\]/ { open = 0 }
        open { last = NR }
        END {
            for (n = 1; n <= NR; n++) {
                print line[n]
                if (n == last) print ENVIRON["BLOCK"]
            }
            if (!last) print "[[local|localrc]]\n" ENVIRON["BLOCK"]
        }' "$1"
}

add_settings() {
    local file text
    file=$(settings_file)
    if grep -qsP '^\s*enable_plugin\s+nova-docker\s' "$file"; then
        # A plugin that is enabled twice stops stack.sh.
        echo "$file enables nova-docker already."
        return
    fi
    if [[ $file == */localrc ]]; then
        text=$(awk 1 "$file" && block)
    elif [[ -e $file ]]; then
        text=$(with_block "$file")
    else
        text=$(echo '[[local|localrc]]' && block)
    fi
    warn_of_others "$file"
    # Written through the name, so that owner, mode and links stay.
    echo "$text" >"$file"
    changed "$file: VIRT_DRIVER=docker, enable_plugin nova-docker" \
        "sed -i '/^$BEGIN\$/,/^$END\$/d' $file"
}

# warn_of_others file
warn_of_others() {
    local other
    other=$(grep -sE '^[[:space:]]*(export[[:space:]]+)?VIRT_DRIVER=' "$1" |
        grep -vE "=[\"']?docker" || true)
    if [[ -n $other ]]; then
        echo "$1: VIRT_DRIVER=docker takes precedence over: $other"
    fi
}

# -- what a stacked machine runs with ------------------------------------

python_of_services() {
    if [[ -x $DATA_DIR/venv/bin/python3 ]]; then
        echo "$DATA_DIR/venv/bin/python3"
    else
        echo python3
    fi
}

apply_package() {
    local python constraints=() sudo=()
    python=$(python_of_services)
    if "$python" -c 'import nova.virt.novadocker' 2>/dev/null; then
        return
    fi
    if [[ -e $INSTALLDIR/requirements/upper-constraints.txt ]]; then
        constraints=(-c "$INSTALLDIR/requirements/upper-constraints.txt")
    fi
    if [[ $python == python3 ]]; then
        sudo=(sudo -H)
    fi
    "${sudo[@]}" "$python" -m pip install "${constraints[@]}" \
        -e "$NOVA_DOCKER_DIR"
    changed "installed nova-docker for $python" \
        "${sudo[*]} $python -m pip uninstall nova-docker"
    restart+=(n-cpu)
}

# DevStack's nova-compute reads a copy of nova.conf.
apply_driver() {
    local file old
    for file in "$NOVA_CONF_DIR"/nova.conf "$NOVA_CONF_DIR"/nova-cpu.conf; do
        [[ -e $file ]] || continue
        old=$(iniget "$file" DEFAULT compute_driver)
        if [[ $old == "$NOVA_DOCKER_DRIVER" ]]; then
            continue
        fi
        nova_docker_set_driver "$file"
        changed "$file: compute_driver = $NOVA_DOCKER_DRIVER" \
            "set [DEFAULT] compute_driver in $file back to: ${old:-(not set)}"
        restart+=(n-cpu)
    done
}

apply_filters() {
    local file=$NOVA_CONF_DIR/rootwrap.d/docker.filters
    local ours=$NOVA_DOCKER_DIR/etc/nova/rootwrap.d/docker.filters
    if cmp -s "$ours" "$file"; then
        return
    fi
    install_nova_docker_filters
    changed "$file" "sudo rm $file"
}

apply_container_format() {
    local old where=$GLANCE_API_CONF
    [[ -e $GLANCE_API_CONF ]] || return 0
    nova_docker_allow_format "$GLANCE_API_CONF" || return 0
    old=${NOVA_DOCKER_OLD_FORMATS:-(not set)}
    changed "$GLANCE_API_CONF: docker among container_formats" \
        "set [image_format] container_formats in $where back to: $old"
    restart+=(g-api)
}

apply_group() {
    local group user
    user=$(stat -c %U "$DEVSTACK")
    if [[ ! -S $DOCKER_SOCKET ]]; then
        echo "There is no $DOCKER_SOCKET: Docker Engine has to run here."
        return
    fi
    group=$(stat -L -c %G "$DOCKER_SOCKET")
    if [[ $group == root ]]; then
        echo "$DOCKER_SOCKET belongs to group root: start the engine with" \
            "--group docker, so that nova-compute can use it."
        return
    fi
    if [[ " $(id -nG "$user") " == *" $group "* ]]; then
        return
    fi
    sudo usermod -a -G "$group" "$user"
    changed "user $user is in group $group" "sudo gpasswd -d $user $group"
    restart+=(n-cpu)
}

apply_to_stacked() {
    if [[ ! -e $NOVA_CONF_DIR/nova.conf ]]; then
        return
    fi
    apply_package
    apply_driver
    apply_filters
    apply_container_format
    apply_group
}

report() {
    local service
    if ((!${#changes[@]})); then
        echo 'Nothing to change.'
        return
    fi
    echo 'Changed:'
    printf '  %s\n' "${changes[@]}"
    echo 'To undo:'
    printf '  %s\n' "${undo[@]}"
    if ((${#restart[@]})); then
        echo 'To make the running services use it:'
        for service in $(printf '%s\n' "${restart[@]}" | sort -u); do
            echo "  sudo systemctl restart devstack@$service"
        done
    else
        echo 'Run stack.sh to make use of it.'
    fi
}

[[ -e $DEVSTACK/stack.sh ]] ||
    fail "there is no DevStack in $DEVSTACK: set INSTALLDIR"
source "$DEVSTACK/inc/ini-config"
source "$NOVA_DOCKER_DIR/devstack/lib/nova-docker"
add_settings
apply_to_stacked
report
