# shellcheck shell=bash
# Installs from a bundle, without a network. install.sh and scripts/bundle source this file.
#
#   manifest      KEY=VALUE lines: for which machine the bundle was made, and what it has
#   SHA256SUMS    the checksum of every other file
#   wheels/       the Python packages, as wheels
#   locks/        the lock files, with the checksums of these wheels
#   debs/         the packages of Debian with all that they depend on, and their index
#   install.sh    the installer of this version, with what it needs

BUNDLE_FORMAT=1
APT_WORK=/run/ishowtts-install

manifest_value() {  # manifest_value DIR KEY: prints a value of the manifest of a bundle
    sed -n "s/^$2=//p" "$1/manifest" | head -n 1
}

machine_value() {  # machine_value KEY: prints what the manifest of a bundle for this machine has
    case $1 in
        os) echo "$(os_value ID)-$(os_value VERSION_ID)" ;;
        architecture) dpkg --print-architecture ;;
        python) "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' ;;
        l4t) l4t_release ;;
    esac
}

os_value() {  # os_value KEY: prints a value of /etc/os-release
    sed -n "s/^$1=[\"']\{0,1\}\([A-Za-z0-9._-]*\)[\"']\{0,1\}\$/\1/p" /etc/os-release | head -n 1
}

check_bundle() {  # refuses a bundle that is damaged, or was made for another machine or version
    local key name here there
    [ "$(manifest_value "$offline" format)" = "$BUNDLE_FORMAT" ] ||
        die "$offline has another format; use its own installer: sudo bash $offline/install.sh --offline $offline"
    while read -r key name; do
        here=$(machine_value "$key") there=$(manifest_value "$offline" "$key")
        [ "$here" = "$there" ] || die "$offline was made for $name ${there:-none}, and this machine has ${here:-none};" \
            "make one with scripts/bundle on a machine like this one"
    done <<'TEXT'
os the operating system
architecture the architecture
python Python
l4t L4T
TEXT
    is_same_version || die "$offline has another version of iShowTTS than $PWD;" \
        "use its own installer: sudo bash $offline/install.sh --offline $offline"
    # It becomes the name of a folder.
    [[ $(manifest_value "$offline" version) =~ ^[A-Za-z0-9.+]+$ ]] || die "$offline is damaged: its manifest has no version"
    check_bundle_parts
    echo "checking the files of $offline ($(du -sm "$offline" | cut -f 1) MB)"
    check_sums
}

check_sums() {
    local message
    message=$(cd "$offline" && LC_ALL=C sha256sum --check --quiet --strict SHA256SUMS 2>&1) || {
        echo "$message" >&2
        die "$offline is damaged: copy it again"
    }
}

is_same_version() {  # whether the bundle was made from this installer
    local part
    [ "$(readlink -f "$offline")" != "$(readlink -f .)" ] || return 0
    for part in install.sh scripts/common.sh scripts/install systemd config; do
        diff -rq "$part" "$offline/$part" >/dev/null 2>&1 || return 1
    done
}

choose_parts_of_bundle() {  # without a word about F5, a bundle without F5 decides, unless F5 is installed here
    [ -f "$offline/manifest" ] || die "$offline is not a bundle: it has no manifest; scripts/bundle makes one"
    if [ -z "$f5" ] && [ "$(manifest_value "$offline" f5)" = no ]; then
        if has_package "$(running_release)" torch; then
            die "$offline has no F5, which is installed here: make one with F5, or leave F5 out with --without-f5"
        fi
        echo "F5 is left out, because $offline does not have it"
        f5=no
    fi
}

check_bundle_parts() {  # refuses a bundle that lacks a part that is wanted
    local part
    for part in f5 transcription bench; do
        [ "${!part}" = no ] || [ "$(manifest_value "$offline" "$part")" = yes ] || die "$offline $(lacking "$part")"
    done
}

lacking() {  # lacking PART: prints what to do if a bundle lacks a part
    case $1 in
        f5) echo "has no F5: make it without --without-f5, or install with --without-f5" ;;
        transcription)
            echo "has no speech recognition: make it with --with-transcription, or install with --without-transcription"
            ;;
        bench) echo "has no benchmarks: make it with --bench" ;;
    esac
}

use_bundle() {  # from now on apt, pip and uv find packages in the bundle alone
    REQUIREMENTS=$offline/locks
    PIP_SOURCE=(--no-index --find-links "$offline/wheels")
    UV_SOURCE=(--offline --no-index --find-links "$offline/wheels")
    SOURCE_ADVICE="is there space on the disk? $offline passed its check"
    APT_ADVICE="if the packages of this machine are newer than those of $offline, make it again"
    # The configuration of the operator could name an index.
    export PIP_CONFIG_FILE=/dev/null UV_NO_CONFIG=1
    unset PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL \
        UV_FIND_LINKS
    APT_OPTIONS=(-o "Dir::Etc::sourcelist=$APT_WORK/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$APT_WORK/lists" -o "Dir::Cache=$APT_WORK/cache" -o APT::Sandbox::User=root
        -o Acquire::Languages=none)
}

prepare_apt() {  # makes the list of sources that names the bundle alone, apart from those of the system
    rm -rf "$APT_WORK"
    mkdir -p "$APT_WORK/lists/partial" "$APT_WORK/cache/archives/partial"
    # A link, because the path of a source may not contain a space.
    ln -s "$offline/debs" "$APT_WORK/debs"
    echo "deb [trusted=yes] file:$APT_WORK/debs ./" >"$APT_WORK/sources.list"
}

index_debs() {  # index_debs DIR: writes the index that apt reads, as dpkg-scanpackages does, which is not everywhere
    local deb
    (
        cd "$1"
        for deb in *.deb; do
            dpkg-deb --field "$deb"
            printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
                "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d ' ' -f 1)"
        done >Packages
    )
}
