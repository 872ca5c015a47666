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

# A DevStack in a directory, and what its scripts do around the plugin.
#
# The functions are DEVSTACK_DIR's. Commands that would change the machine are
# those of stubs/. The scripts that call the plugin are retold in scripts.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
export DEVSTACK_DIR=${DEVSTACK_DIR:-$HERE/harness}
export REAL_PYTHON=${REAL_PYTHON:-$(
    python3 -c "import sys; print(sys.executable)")}
export STUBS=$HERE/stubs

# All of the machine that may be called; anything else fails.
TOOLS=(awk basename bash cat chmod chown cmp cp cut date dirname echo egrep env
    expr find git grep head install ldd ln ls mkdir mktemp mv printf ps pwd
    readlink rm sed seq sh sleep sort tail tar tee timeout touch tr true
    uname which whoami wc xargs)

make_box() {
    local tool
    BOX=$(mktemp -d)
    export BOX
    mkdir -p "$BOX"/{bin,state,etc/{nova,glance,heat,tempest}}
    mkdir -p "$BOX/stack"/{devstack,data,nova/etc}
    : >"$BOX/log"
    for tool in "${TOOLS[@]}"; do
        tool=$(type -P "$tool") && ln -s "$tool" "$BOX/bin"
    done
    ln -s "$STUBS"/* "$BOX/bin"
    rm "$BOX"/bin/{busybox,pip,python3,edit-constraints}
    install -D "$STUBS/pip" "$BOX/stack/data/venv/bin/pip"
    install -D "$STUBS/python3" "$BOX/stack/data/venv/bin/python3"
    install -D "$STUBS/edit-constraints" \
        "$BOX/stack/requirements/.venv/bin/edit-constraints"
    touch "$BOX/stack/requirements/upper-constraints.txt"
    cp -r "$DEVSTACK_DIR"/{stack.sh,functions,inc} "$BOX/stack/devstack"
    if [[ -e $DEVSTACK_DIR/functions-common ]]; then
        cp "$DEVSTACK_DIR/functions-common" "$BOX/stack/devstack"
    fi
    copy_plugin "$BOX/stack/nova-docker"
    cd "$BOX/state" || exit
    echo running >engine
    echo docker >socket-group
    touch containers engine-images images groups installed
    export PATH=$BOX/bin:$BOX/stack/data/venv/bin
    export DOCKER_SOCKET=/var/run/docker.sock
    write_local_conf "enable_plugin nova-docker https://example.org/x"
}

copy_plugin() {
    mkdir -p "$1/contrib/heat_docker"
    cp -r "$REPO"/{devstack,etc,setup.cfg} "$1"
    cp -r "$REPO/contrib/devstack" "$1/contrib"
    printf '[metadata]\nname = heat-docker\n' \
        >"$1/contrib/heat_docker/setup.cfg"
}

# Each argument is a line of local.conf's [[local|localrc]], or a section
# after it.
write_local_conf() {
    printf '%s\n' '[[local|localrc]]' "$@" >"$BOX/stack/devstack/local.conf"
}

# Each script has a process of its own, as errexit means nothing in a function
# that a test calls in a condition.
stack() { bash "$HERE/scripts" stack_sh >>"$BOX/output" 2>&1; }
unstack() { bash "$HERE/scripts" unstack_sh >>"$BOX/output" 2>&1; }
clean_plugin() { bash "$HERE/scripts" clean_sh >>"$BOX/output" 2>&1; }

# With what clean.sh removes after the plugin's phase.
clean() {
    clean_plugin
    rm -rf "$BOX"/etc/{nova,glance} "$BOX/stack/data"
}

# -- what a test says -----------------------------------------------------

# is expected actual
is() {
    if [[ $1 != "$2" ]]; then
        printf 'expected: %s\n  actual: %s\n' "$1" "$2"
        return 1
    fi
}

# has file line
has() {
    grep -qxF -- "$2" "$1" && return
    echo "no line '$2' in $1:"
    cat "$1"
    return 1
}

# lacks file text
lacks() {
    grep -F -- "$2" "$1" || return 0
    echo "'$2' is in $1"
    return 1
}

# fails command...
fails() {
    if "$@"; then
        echo "does not fail: $*"
        return 1
    fi
}

# The value of an option, read by something other than what wrote it.
# value file section option
value() {
    "$REAL_PYTHON" - "$@" <<'PYTHON'
import configparser
import sys
parser = configparser.RawConfigParser(default_section='')
parser.read(sys.argv[1])
print(parser.get(sys.argv[2], sys.argv[3], fallback='(not set)'))
PYTHON
}
