# shellcheck shell=bash
# Decides which parts an installation has: F5, speech recognition, the lock, the packages of Debian. install.sh and
# scripts/bundle source this file, and set `f5`, `transcription` and `offline`.

WITHOUT_F5=/opt/ishowtts/without-f5  # exists if the last run was one --without-f5

choose_parts() {  # sets `f5`, `lock` and `transcription` to what was asked for, or else to what is installed
    if [ -z "$f5" ]; then
        if [ -e "$WITHOUT_F5" ]; then f5=no; else f5=yes; fi
    fi
    choose_lock
    if [ -z "$transcription" ]; then
        if has_package "$(running_release)" faster_whisper; then transcription=yes; else transcription=no; fi
    fi
}

choose_lock() {  # sets `lock` to the lock of packages for this machine
    lock=linux
    if [ "$f5" = no ]; then lock=core; elif is_jetpack6; then lock=jetpack6; fi
}

program_version() {  # prints the version that is installed now
    if [ -n "$offline" ]; then
        manifest_value "$offline" version
    else
        sed -n 's/^version = "\([A-Za-z0-9.+]*\)"$/\1/p' pyproject.toml
    fi
}

needed_packages() {  # prints the packages of Debian that the installation needs, one a line
    local names=(python3-venv libasound2-plugins alsa-utils espeak-ng)
    # Triton compiles for the GPU at run time. An index has systemd-python only as source.
    if [ "$f5" = yes ] || [ -z "$offline" ]; then names+=(gcc python3-dev); fi
    if [ -z "$offline" ]; then names+=(pkg-config libsystemd-dev); fi
    printf '%s\n' "${names[@]}"
}

locked_version() {  # locked_version NAME: prints the version of a package in the lock
    sed -n "s/^$1==\([^ ]*\).*/\1/p" "$REQUIREMENTS/$lock.txt" | head -n 1
}
