# shellcheck shell=bash
# Installs the program into the new release ($VENV): apt packages, the locks, torch. install.sh sources this file.

install_packages() {  # installs the packages of Debian
    local names
    mapfile -t names < <(needed_packages)
    APT_OUTPUT=5
    if [ -n "$offline" ]; then step prepare_apt; fi
    step apt_install "${names[@]}"
    if [ "$broker" = yes ]; then step apt_install mosquitto mosquitto-clients; fi
    if [ "$lock" = jetpack6 ]; then step install_cudss; fi
    if [ -n "$offline" ]; then step rm -rf "$APT_WORK"; fi
}

needed_mb() {  # prints the space that the installation takes in /opt/ishowtts; measured, and rounded up
    local mb=1000 before
    before=$(running_release)
    # Releases share files. So an upgrade with the same torch takes only what changed.
    if [ "$f5" = yes ] && ! has_package "$before" "torch-$(locked_version torch)*.dist-info"; then mb=7000; fi
    if [ "$transcription" = yes ] && ! has_package "$before" faster_whisper; then mb=$((mb + 500)); fi
    echo "$mb"
}

check_disk_space() {
    local folder=$BASE free_mb need_mb
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    free_mb=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
    need_mb=$(needed_mb)
    [ "$free_mb" -ge "$need_mb" ] ||
        die "the installation needs $need_mb MB in $BASE, but only $free_mb MB are free there"
}

remember_f5() {  # later upgrades leave out F5 if this one did
    if [ "$f5" = no ]; then
        step touch "$WITHOUT_F5"
    elif [ -e "$WITHOUT_F5" ]; then
        step rm "$WITHOUT_F5"
    fi
}

install_program() {
    local name
    step make_venv "$VENV" "$python"
    step install_lock "$VENV" "$lock"
    if [ "$bench" = yes ]; then
        for name in $(upstream_locks "$lock"); do step install_lock "$VENV" "$name"; done
    fi
    if [ "$lock" = jetpack6 ]; then
        if [ -n "$offline" ]; then step install_lock "$VENV" torch; else step install_nvidia_torch "$VENV" "$torch" "$bench"; fi
    fi
    step install_natural_voice "$VENV" "run install.sh again"
    if [ "$transcription" = yes ]; then step install_lock "$VENV" transcription; fi
    install_own_packages
    # uv leaves this out, and the service may not write beside its code: each start would compile all of it again.
    # Some packages have files that are not valid Python, such as templates.
    step "$VENV/bin/python" -m compileall -qq -j 0 "$VENV/lib" || true
}

install_own_packages() {  # installs iShowTTS, and its benchmarks if they are wanted
    if [ -n "$offline" ]; then
        step install_lock "$VENV" ishowtts
        if [ "$bench" = yes ]; then step install_lock "$VENV" ishowtts-bench; fi
        return 0
    fi
    # setuptools would install the files that an earlier version left in these folders.
    step rm -rf build daemon/ishowtts_bench/build
    step "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation \
        --reinstall-package ishowtts .
    if [ "$bench" = yes ]; then
        step "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation \
            --reinstall-package ishowtts-bench ./daemon/ishowtts_bench
    fi
}

install_command() {  # makes the link to the program in the PATH
    if is_our_link || [ ! -e "$COMMAND" ]; then
        step ln -sfn "$CURRENT/bin/ishowtts" "$COMMAND"
    else
        echo "kept: $COMMAND, which this script did not make; run $CURRENT/bin/ishowtts instead"
    fi
}
