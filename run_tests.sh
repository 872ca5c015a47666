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

# Install what is missing, start what must run, check and test everything.
#
# A part is a line in PARTS and a function part_<name>, which prints what it
# does and fails when it failed. Parts that are test runners say how many
# tests passed and failed; any other part counts as one test.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit

PARTS=(unit pep8 docs fuzz devstack heat-unit functional eventlet heat)
[[ ! -x tests/quickstart/run ]] || PARTS+=(quickstart)
ROOTLESS=(unit pep8 fuzz devstack heat-unit)
VENV=$PWD/.venv
PACKAGES=(docker.io openvswitch-switch iproute2 busybox-static python3-venv
    ca-certificates git skopeo podman buildah umoci)

usage() {
    cat <<USAGE
usage: ./run_tests.sh [options]

Without an option everything is run, which takes root or sudo, Debian 12 or
Ubuntu 24.04 (elsewhere: install Docker Engine and Open vSwitch first).

  --unit        only what needs no root: unit tests, style and a minute of
                fuzzing
  --functional  only the tests on a real engine and kernel: Nova on native
                threads and on eventlet, and Heat
  --quickstart  only the end-to-end test of contrib/quickstart
  --part NAME   only this part: ${PARTS[*]}
  -h, --help    this text

Options add up. Logs are in .run_tests.
USAGE
}

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf 'run_tests.sh: %s\n' "$*" >&2
    exit 1
}

# -- what to run --------------------------------------------------------

wanted=()

parse_options() {
    while (($#)); do
        case $1 in
        --unit) wanted+=("${ROOTLESS[@]}") ;;
        --functional) wanted+=(functional eventlet heat) ;;
        --quickstart) wanted+=(quickstart) ;;
        --part)
            [[ " ${PARTS[*]} " == *" ${2:-} "* ]] ||
                die "--part takes one of: ${PARTS[*]}"
            wanted+=("$2")
            shift
            ;;
        -h|--help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
        esac
        shift
    done
    ((${#wanted[@]})) || wanted=("${PARTS[@]}")
}

needs_root() {
    local part
    for part in "${wanted[@]}"; do
        [[ $part =~ ^(functional|eventlet|heat|quickstart)$ ]] && return 0
    done
    return 1
}

become_root() {
    ((EUID)) || return 0
    command -v sudo >/dev/null ||
        die 'needs root or sudo; ./run_tests.sh --unit needs neither'
    exec sudo --preserve-env=CI,http_proxy,https_proxy,no_proxy \
        "$BASH" "$PWD/run_tests.sh" "$@"
}

# -- what has to be there -----------------------------------------------

POLICY=/usr/sbin/policy-rc.d
made_policy=
engine_pid=

install_packages() {
    local package missing=()
    command -v apt-get >/dev/null || return 0
    for package in "${PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    # The engine is started below, Open vSwitch by the tests that need it.
    if [[ ! -e $POLICY ]]; then
        printf '#!/bin/sh\nexit 101\n' >$POLICY
        chmod 0755 $POLICY
        made_policy=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >"$LOGS/apt.log" 2>&1
    apt-get -q install -y --no-install-recommends iptables "${missing[@]}" \
        >>"$LOGS/apt.log" 2>&1 || {
        tail -20 "$LOGS/apt.log" >&2
        die 'could not install packages'
    }
    remove_policy
}

remove_policy() {
    [[ -z $made_policy ]] || rm -f $POLICY
    made_policy=
}

wait_until() {  # seconds, command...
    local deadline
    deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}

start_engine() {
    docker version >/dev/null 2>&1 && return 0
    command -v dockerd >/dev/null || die 'Docker Engine is not installed'
    say 'starting dockerd'
    dockerd >"$LOGS/dockerd.log" 2>&1 </dev/null &
    engine_pid=$!
    wait_until 60 docker version && return 0
    tail -20 "$LOGS/dockerd.log" >&2
    die 'dockerd does not answer'
}

stop_engine() {
    [[ -z $engine_pid ]] || {
        kill "$engine_pid"
        wait "$engine_pid"
    } 2>/dev/null
    engine_pid=
}

stop_services() {
    remove_policy
    stop_engine
}

find_python() {
    local python
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        echo "$python"
        return
    done
    die 'needs Python 3.11 or later with venv (python3-venv)'
}

pip() {
    "$VENV/bin/pip" -q --disable-pip-version-check "$@"
}

# Made anew when what goes into it has changed.
make_venv() {
    local python stamp wanted_stamp
    stamp=$VENV/requirements.sha256
    wanted_stamp=$(cat requirements.txt test-requirements.txt \
        constraints.txt setup.cfg pyproject.toml tools/packaging/* |
        sha256sum)
    [[ $(cat "$stamp" 2>/dev/null) != "$wanted_stamp" ]] || return 0
    python=$(find_python) || exit
    say "making .venv with $("$python" --version)"
    rm -rf "$VENV"
    {
        "$python" -m venv "$VENV" &&
            pip install -c constraints.txt -r requirements.txt \
                -r test-requirements.txt &&
            pip install --no-deps --no-build-isolation -e .
    } || die 'could not make .venv'
    echo "$wanted_stamp" >"$stamp"
}

# -- the parts ----------------------------------------------------------

part_unit() {
    stestr run --concurrency 2
}

part_pep8() {
    tools/pep8
}

part_fuzz() {
    python -m tests.fuzz --left "$LOGS/fuzz"
}

part_docs() {
    sphinx-build -q -W --keep-going -b html doc/source doc/build/html
}

part_devstack() {
    tests/devstack/run
}

part_functional() {
    stestr --test-path ./tests/functional run --concurrency 2 "$@"
}

# The images of the corpus are the same on either.
part_eventlet() {
    OS_NOVA_DISABLE_EVENTLET_PATCHING=false part_functional \
        --exclude-regex test_honest_images
}

# Never on eventlet, which heat-engine of this release does not use.
part_heat-unit() {
    stestr --test-path ./tests/heat/unit run --concurrency 2
}

part_heat() {
    stestr --test-path ./tests/heat/functional run --concurrency 2
}

part_quickstart() {
    tests/quickstart/run
}

# -- running and counting -----------------------------------------------

passed=0
failed=0
report=()
failures=()

# The last number after the label of a test runner's own summary.
count() {  # label, file
    grep -oiP "^ - $1: \K[0-9]+|[0-9]+(?= $1)" "$2" | tail -1
}

# The tests that failed, for a reader who sees the end of the output only.
show_failures() {  # label, file
    grep -P '\.\.\. FAILED$|^not ok|^FAIL' "$2" |
        head -40 | sed "s/^/$1: /"
}

run_part() {
    local name=$1 start=$SECONDS status=ok log ok bad
    log=$LOGS/$name.log
    say "$name"
    if ! "part_$name" 2>&1 </dev/null | tee "$log"; then
        status=FAILED
    fi
    ok=$(count passed "$log")
    bad=$(count failed "$log")
    # A runner that failed without a failed test failed as a whole.
    [[ $status == ok ]] || ((${bad:-0})) || bad=1
    [[ -n $ok || ${bad:-0} -gt 0 ]] || ok=1
    if ((${bad:-0})); then
        status=FAILED
        failures+=("$(show_failures "$name" "$log")")
    fi
    passed=$((passed + ${ok:-0}))
    failed=$((failed + ${bad:-0}))
    report+=("$(printf '%-12s %-6s %5d passed %3d failed %5d s' "$name" \
        "$status" "${ok:-0}" "${bad:-0}" "$((SECONDS - start))")")
}

main() {
    local part
    parse_options "$@"
    ! needs_root || become_root "$@"
    LOGS=$PWD/.run_tests
    mkdir -p "$LOGS"
    trap stop_services EXIT
    trap 'exit 130' INT TERM
    if needs_root; then
        install_packages
        start_engine
    fi
    make_venv
    export PATH=$VENV/bin:$PATH
    for part in "${wanted[@]}"; do
        # With an engine of its own the quickstart is tested through the
        # engine's restarts as well; one that was there before stays.
        [[ $part != quickstart ]] || stop_engine
        run_part "$part"
    done
    say "all parts, $SECONDS s"
    ((failed == 0)) || printf '%s\n' "${failures[@]}"
    printf '%s\n' "${report[@]}"
    echo "$passed passed, $failed failed"
    ((failed == 0))
}

main "$@"
