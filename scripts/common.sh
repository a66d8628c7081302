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
    finish_dpkg
    # One broken source of the operator makes this fail, and the others may have what is missing.
    apt_get update -qq >&"$APT_OUTPUT" || echo "$0: apt-get update failed; goes on with the lists of packages that are here" >&2
    apt_get install -y -qq --no-install-recommends "${missing[@]}" >&"$APT_OUTPUT" ||
        die "apt could not install ${missing[*]}: see its message above; $APT_ADVICE"
}

APT_OUTPUT=2  # where dpkg reports each package: install.sh sends that to its log alone
APT_OPTIONS=()  # install.sh --offline sets these two
APT_ADVICE="is the network up, and do the sources in /etc/apt answer?"

apt_get() {  # apt_get ARGUMENT...: runs apt-get as soon as no other program holds its locks
    wait_for_apt
    # English, so that the message is the one that the documentation of apt names.
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get "$@" -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "${APT_OPTIONS[@]}"
}

finish_dpkg() {  # finishes a run of dpkg that a power cut or a kill has interrupted: until then apt refuses everything
    if ! compgen -G "/var/lib/dpkg/updates/[0-9]*" >/dev/null && [ -z "$(dpkg --audit 2>/dev/null)" ]; then return 0; fi
    wait_for_apt
    echo "an earlier run of dpkg was interrupted; it is finished first" >&2
    as_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a >&"$APT_OUTPUT" ||
        die "dpkg cannot finish an earlier run: fix what it names above, then run:" \
            "sudo dpkg --configure -a && sudo apt-get --fix-broken install, and run this again"
}

apt_lock_holder() {  # prints the process that holds a lock of apt or dpkg, as in: apt-get (process 812)
    local lock inode pid
    for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
        inode=$(stat -c %i "$lock" 2>/dev/null) || continue
        # A line such as "1: POSIX  ADVISORY  WRITE 812 fe:00:131094 0 EOF". The process is 0 if it is in a container.
        pid=$(awk -v end=":$inode" '$2 == "POSIX" && substr($6, length($6) - length(end) + 1) == end { print $5; exit }' \
            /proc/locks 2>/dev/null)
        if [ -n "$pid" ]; then
            echo "$(cat "/proc/$pid/comm" 2>/dev/null || echo "a program") (process $pid)"
            return 0
        fi
    done
    return 1
}

wait_for_apt() {  # waits until no other program holds a lock of apt: at boot unattended-upgrades may work for minutes
    local holder start=$SECONDS next=0 limit_s=${APT_WAIT_S:-1800}
    while holder=$(apt_lock_holder); do
        if [ $((SECONDS - start)) -ge "$limit_s" ]; then
            die "$holder has held the lock of apt for $limit_s s; run this again when it has ended"
        fi
        if [ $((SECONDS - start)) -ge "$next" ]; then
            echo "waiting for $holder, which installs packages: $((SECONDS - start)) s of at most $limit_s s" >&2
            next=$((next + 10))
        fi
        sleep 0.5
    done
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

l4t_release() {  # prints the major release of L4T, as in 36 for JetPack 6; nothing if this is not a Jetson
    local line='' version
    if [ -r /etc/nv_tegra_release ]; then read -r line </etc/nv_tegra_release || true; fi
    if [[ $line =~ ^#\ R([0-9]+) ]]; then
        echo "${BASH_REMATCH[1]}"
    elif version=$(dpkg-query -W -f '${Version}' nvidia-l4t-core 2>/dev/null); then
        echo "${version%%.*}"
    fi
}

is_jetpack6() {
    case $(l4t_release) in 36 | 37) return 0 ;; *) return 1 ;; esac
}

# Where pip and uv find packages. install.sh --offline names a folder here.
PIP_SOURCE=()
UV_SOURCE=()
SOURCE_ADVICE="is the network up, and is there space on the disk?"

make_venv() {  # make_venv DIR PYTHON: makes a virtual environment with the locked uv and build tools
    local venv=$1 python=$2 try
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" ||
        die "$python cannot make $venv; install its venv module (python3-venv) or name another with PYTHON="
    for try in 1 2; do
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            "${PIP_SOURCE[@]}" -r "$REQUIREMENTS/uv.txt" >&2 && return 0
        echo "attempt $try of 2 failed" >&2
    done
    die "uv could not be installed into $venv: $SOURCE_ADVICE"
}

try_install_lock() {  # try_install_lock VENV LOCK...: installs exactly the locked packages; an index may fail once
    local venv=$1 lock try arguments=()
    shift
    for lock in "$@"; do arguments+=(-r "$REQUIREMENTS/$lock.txt"); done
    for try in 1 2; do
        VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes \
            "${UV_SOURCE[@]}" "${arguments[@]}" >&2 && return 0
        echo "attempt $try of 2 failed" >&2
    done
    return 1
}

install_lock() {  # install_lock VENV LOCK...: as try_install_lock, but the script ends if it fails
    try_install_lock "$@" ||
        die "the locks (${*:2}) could not be installed: $SOURCE_ADVICE"
}

upstream_locks() {  # upstream_locks LOCK: prints the locks of what upstream's modules import, beside LOCK
    case $1 in
        linux) echo upstream torchaudio ;;
        jetpack6) echo upstream ;;  # torchaudio comes with NVIDIA's torch
    esac
}

install_natural_voice() {  # install_natural_voice VENV FIX: without these packages, the script goes on
    try_install_lock "$1" natural ||
        echo "$0: the natural voice could not be installed, so espeak-ng speaks wherever F5 does not; to add it, $2" >&2
}
