# shellcheck shell=bash
# Functions for scripts/setup and install.sh, which source this file.

REQUIREMENTS=daemon/requirements

die() {
    echo "$0: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing_packages() {  # missing_packages NAME...: prints the names that dpkg does not list as installed
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

apt_install() {  # apt_install NAME...: calls apt only if a package is missing
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "${missing[*]} are missing, and so is apt-get; install them by hand"
    echo "installing ${missing[*]}" >&2
    as_root apt-get update -qq >&2 || die "apt-get update failed: is the network up?"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
        die "apt could not install ${missing[*]}; see its message above"
}

apt_install_available() {  # apt_install_available NAME...: as apt_install, but goes on without what apt cannot install
    local name
    for name in "$@"; do
        (apt_install "$name") || echo "$0: goes on without $name; the tests that need it are skipped, and say so" >&2
    done
}

supported_python() {  # supported_python PROGRAM: whether it is Python 3.10 to 3.13
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {  # find_python VERSION: prints a program that is this version of Python, from PATH or pyenv
    local version=$1 candidate
    for candidate in "python$version" "$(pyenv root 2>/dev/null)"/versions/"$version"*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

is_jetpack6() {
    grep -qs '^# R36' /etc/nv_tegra_release
}

make_venv() {  # make_venv DIR PYTHON: makes a virtual environment with the locked uv and build tools
    local venv=$1 python=$2 try
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" ||
        die "$python cannot make $venv; install its venv module (python3-venv) or name another with PYTHON="
    for try in 1 2; do
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$REQUIREMENTS/uv.txt" >&2 && return 0
        echo "attempt $try of 2 failed" >&2
    done
    die "uv could not be installed into $venv: is the network up?"
}

try_install_lock() {  # try_install_lock VENV LOCK...: installs exactly the locked packages; an index may fail once
    local venv=$1 lock try arguments=()
    shift
    for lock in "$@"; do arguments+=(-r "$REQUIREMENTS/$lock.txt"); done
    for try in 1 2; do
        VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes \
            "${arguments[@]}" >&2 && return 0
        echo "attempt $try of 2 failed" >&2
    done
    return 1
}

install_lock() {  # install_lock VENV LOCK...: as try_install_lock, but the script ends if it fails
    try_install_lock "$@" ||
        die "the locks (${*:2}) could not be installed: is the network up, and is there space on the disk?"
}

install_natural_voice() {  # install_natural_voice VENV FIX: without these packages, the script goes on
    try_install_lock "$1" natural ||
        echo "$0: the natural voice could not be installed, so espeak-ng speaks wherever F5 does not; to add it, $2" >&2
}

install_nvidia_torch() {  # install_nvidia_torch VENV WHEELS: installs JetPack 6's torch from a folder or an index
    local venv=$1 wheels=$2 source=(--index-url "$2")
    if [ -d "$wheels" ]; then source=(--no-index --find-links "$wheels"); fi
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps "${source[@]}" torch torchaudio >&2 ||
        die "torch and torchaudio could not be installed from $wheels"
    # A step of its own: only the fused kernels need it.
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps "${source[@]}" triton 2>/dev/null >&2 ||
        echo "$wheels has no triton: speech works, but is slower on the GPU" >&2
}
