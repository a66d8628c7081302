# shellcheck shell=bash
# Installs the program into the new release ($VENV): apt packages, the locks, torch. install.sh sources this file.

WITHOUT_F5=/opt/ishowtts/without-f5  # exists if the last run was one --without-f5

install_packages() {  # installs the packages of Debian
    step apt_install python3-venv python3-dev gcc pkg-config libsystemd-dev libasound2-plugins \
        alsa-utils espeak-ng
    if [ "$broker" = yes ]; then step apt_install mosquitto mosquitto-clients; fi
}

remember_f5() {  # later upgrades leave out F5 if this one did
    if [ "$f5" = no ]; then
        step touch "$WITHOUT_F5"
    elif [ -e "$WITHOUT_F5" ]; then
        step rm "$WITHOUT_F5"
    fi
}

install_program() {
    local lock=linux
    if [ "$f5" = no ]; then lock=core; elif is_jetpack6; then lock=jetpack6; fi
    if has_package "$(running_release)" faster_whisper; then transcription=yes; fi
    step make_venv "$VENV" "$python"
    step install_lock "$VENV" "$lock"
    if [ "$lock" = jetpack6 ]; then step install_nvidia_torch "$VENV" "$torch"; fi
    step install_natural_voice "$VENV" "run install.sh again"
    if [ "$transcription" = yes ]; then step install_lock "$VENV" transcription; fi
    # setuptools would install the files that an earlier version left in these folders.
    step rm -rf build daemon/ishowtts_bench/build
    step "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation \
        --reinstall-package ishowtts .
    if [ "$bench" = yes ]; then
        step "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation \
            --reinstall-package ishowtts-bench ./daemon/ishowtts_bench
    fi
    # uv leaves this out, and the service may not write beside its code: each start would compile all of it again.
    # Some packages have files that are not valid Python, such as templates.
    step "$VENV/bin/python" -m compileall -qq -j 0 "$VENV/lib" || true
}

install_command() {  # makes the link to the program in the PATH
    if is_our_link || [ ! -e "$COMMAND" ]; then
        step ln -sfn "$CURRENT/bin/ishowtts" "$COMMAND"
    else
        echo "kept: $COMMAND, which this script did not make; run $CURRENT/bin/ishowtts instead"
    fi
}
