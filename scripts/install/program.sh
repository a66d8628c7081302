# shellcheck shell=bash
# Installs the program into its virtual environment: apt packages, the locks, torch. install.sh sources this file.

VENV=/opt/ishowtts/venv
WITHOUT_F5=/opt/ishowtts/without-f5  # exists if the last run was one --without-f5

has_torch() {
    compgen -G "$VENV/lib/python3.*/site-packages/torch" >/dev/null
}

has_transcription() {  # whether an earlier run installed speech recognition
    compgen -G "$VENV/lib/python3.*/site-packages/faster_whisper" >/dev/null
}

install_program() {
    local lock=linux
    if [ "$f5" = no ]; then lock=core; elif is_jetpack6; then lock=jetpack6; fi
    if has_transcription; then transcription=yes; fi
    step apt_install python3-venv python3-dev gcc pkg-config libsystemd-dev libasound2-plugins \
        alsa-utils espeak-ng
    step mkdir -p /opt/ishowtts
    if [ "$f5" = no ]; then
        if has_torch; then step rm -rf "$VENV"; fi  # what came with torch has gigabytes, and other packages do not need it
        step touch "$WITHOUT_F5"
    elif [ -e "$WITHOUT_F5" ]; then
        step rm "$WITHOUT_F5"
    fi
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
    else
        step "$VENV/bin/uv" pip uninstall --quiet --python "$VENV/bin/python" ishowtts-bench
    fi
    # uv leaves this out, and the service may not write beside its code: each start would compile all of it again.
    # Some packages have files that are not valid Python, such as templates.
    step "$VENV/bin/python" -m compileall -qq -j 0 "$VENV/lib" || true
}

install_command() {  # makes the link to the program in the PATH
    if is_our_link || [ ! -e "$COMMAND" ]; then
        step ln -sfn "$VENV/bin/ishowtts" "$COMMAND"
    else
        echo "kept: $COMMAND, which this script did not make; run $VENV/bin/ishowtts instead"
    fi
}
