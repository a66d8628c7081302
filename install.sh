#!/usr/bin/env bash
# Installs the appliance from this checkout on Debian, Ubuntu or JetPack. Run it again to upgrade.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: install.sh [--dry-run] [--no-start] [--bench] [--with-transcription]
                  [--torch WHEELS] [--without-f5 | --with-f5]
       install.sh --uninstall [--purge] [--dry-run]

  --dry-run       print every step and change nothing (does not need root)
  --no-start      install, but do not enable or start the services
  --bench         also install the benchmarks (ishowtts bench); without this, an upgrade removes them
  --with-transcription
                  also install speech recognition (470 MB), so that `ishowtts voices add` writes down the words of a
                  clip; later upgrades keep it
  --torch WHEELS  required on JetPack 6: a folder or an index with NVIDIA's torch and torchaudio
  --without-f5    install neither F5 nor torch: for a stage, whose speech other boards render (docs/stage.md), or where
                  the natural voice is enough; later upgrades keep it, until --with-f5
  --uninstall     remove the program, the units and the users; keep configuration and state
  --purge         with --uninstall: also remove configuration, state and caches
TEXT
}

refuse() {
    echo "install.sh: $*; --help shows the options" >&2
    exit 2
}

dry_run=no start=yes bench=no transcription=no uninstall=no purge=no torch='' f5=''
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --no-start) start=no ;;
        --bench) bench=yes ;;
        --with-transcription) transcription=yes ;;
        --without-f5) f5=no ;;
        --with-f5) f5=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --torch)
            [ $# -ge 2 ] || refuse "--torch needs a folder or an index"
            torch=$2
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) refuse "unknown option $1" ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$uninstall" = yes ] || refuse "--purge needs --uninstall"

cd "$(dirname "$0")"
# shellcheck source=scripts/common.sh
. scripts/common.sh
# shellcheck source=scripts/folders.sh
. scripts/folders.sh
DATA=/var/lib/ishowtts
CACHE=/var/cache/ishowtts
VENV=/opt/ishowtts/venv
WITHOUT_F5=/opt/ishowtts/without-f5  # exists if the last run was one --without-f5
UNITS=/etc/systemd/system
DROP_INS=$UNITS/ishowtts.service.d
GATEWAY_DROP_INS=$UNITS/ishowtts-gateway.service.d
UNIT_FILES=(ishowtts.service ishowtts-clocks.service ishowtts-clocks-repair.path ishowtts-clocks-repair.service
    ishowtts-gateway.service)
# ishowtts-clocks-repair.path starts the repair. The operator enables the gateway.
ENABLED=("${UNIT_FILES[@]:0:3}")
SECRETS=(mqtt-username mqtt-password mqtt-tls-key)
GATEWAY_SECRETS=(gateway-mqtt-username gateway-mqtt-password gateway-token mqtt-tls-key)
COMMAND=/usr/local/bin/ishowtts
# The operator copies this file there with the Wyoming server: without one, it would announce what nobody serves.
AVAHI_SERVICE=/etc/avahi/services/ishowtts-wyoming.service
# The system's Python. The service cannot read one in a user's home.
python=${PYTHON:-/usr/bin/python3}

shown() {  # shown COMMAND...: prints a command as it can be typed; for a function, the command that does its work
    local name=$1 uv=$VENV/bin/uv
    shift
    case $name in
        apt_install) echo "apt-get install -y --no-install-recommends $*" ;;
        make_venv) echo "$2 -m venv $1 && $1/bin/python -m pip install --require-hashes -r $REQUIREMENTS/uv.txt" ;;
        install_lock) echo "$uv pip install --python $1/bin/python --no-deps --require-hashes -r $REQUIREMENTS/$2.txt" ;;
        install_natural_voice) shown install_lock "$1" natural ;;
        install_nvidia_torch) echo "$uv pip install --python $1/bin/python --no-deps torch torchaudio triton (from $2)" ;;
        *)
            local word words=("$name")
            for word in "$@"; do
                case $word in "" | *[!A-Za-z0-9_./:=,@%+-]*) word="'$word'" ;; esac
                words+=("$word")
            done
            echo "${words[*]}"
            ;;
    esac
}

step() {  # step COMMAND...: prints the command, and runs it unless this is a dry run
    echo "+ $(shown "$@")"
    [ "$dry_run" = yes ] || "$@"
}

systemd_step() {  # systemd_step ARGUMENT...: calls systemctl if systemd runs, which it does not in a chroot
    if [ "$dry_run" = yes ] || [ -d /run/systemd/system ]; then step systemctl "$@"; fi
}

is_our_link() {  # whether $COMMAND is the link that this script makes
    [ "$(readlink "$COMMAND")" = "$VENV/bin/ishowtts" ]
}

remove() {
    if [ -d /run/systemd/system ]; then
        # One by one: an earlier version had fewer units, and for a missing one systemctl would leave the others.
        local unit
        for unit in ishowtts-gateway.service "${ENABLED[@]}"; do step systemctl disable --now "$unit" || true; done
    fi
    if [ -x "$VENV/bin/ishowtts" ]; then
        step "$VENV/bin/ishowtts" ha remove || echo "Home Assistant may still show the appliance: delete the device there"
    fi
    local secret user folder ours=("${UNIT_FILES[@]/#/$UNITS/}") others=(-mindepth 1)
    for secret in "${SECRETS[@]}"; do ours+=("$DROP_INS/$secret.conf"); done
    for secret in "${GATEWAY_SECRETS[@]}"; do ours+=("$GATEWAY_DROP_INS/$secret.conf"); done
    for secret in "${SECRETS[@]}" "${GATEWAY_SECRETS[@]}"; do others+=(! -name "$secret.conf"); done
    step rm -rf "${ours[@]}" "$AVAHI_SERVICE" /opt/ishowtts
    if is_our_link; then step rm "$COMMAND"; fi
    systemd_step daemon-reload
    for user in ishowtts-gateway ishowtts; do
        if id "$user" >/dev/null 2>&1; then
            step userdel "$user" || echo "the user $user stays, because one of its processes still runs"
        fi
    done
    local kept=(/etc/ishowtts "$DATA" "$CACHE")
    # Other drop-ins are the operator's: `systemctl edit` makes them.
    for folder in "$DROP_INS" "$GATEWAY_DROP_INS"; do
        if [ ! -d "$folder" ]; then continue; fi
        if [ -n "$(find "$folder" "${others[@]}")" ]; then kept+=("$folder"); else step rmdir "$folder"; fi
    done
    if [ "$purge" = yes ]; then
        step rm -rf "${kept[@]}"
    else
        echo "kept: ${kept[*]} (--purge removes them)"
    fi
}

is_enabled() {  # is_enabled UNIT
    [ -d /run/systemd/system ] && systemctl is-enabled --quiet "$1" 2>/dev/null
}

units_to_enable() {  # prints the units, except one that the operator has disabled since an earlier installation
    local unit
    for unit in "${ENABLED[@]}"; do
        if [ -e "$UNITS/$unit" ] && is_enabled ishowtts.service && ! is_enabled "$unit"; then
            echo "kept: $unit is disabled; to enable it, run: sudo systemctl enable --now $unit" >&2
        else
            echo "$unit"
        fi
    done
}

add_users() {
    local group
    id ishowtts-gateway >/dev/null 2>&1 ||
        step useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin \
            ishowtts-gateway
    id ishowtts >/dev/null 2>&1 ||
        step useradd --system --user-group --home-dir "$DATA/state" --no-create-home --shell /usr/sbin/nologin ishowtts
    for group in audio video render; do
        if getent group "$group" >/dev/null; then step usermod -aG "$group" ishowtts; fi
    done
}

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

install_files() {
    if is_our_link || [ ! -e "$COMMAND" ]; then
        step ln -sfn "$VENV/bin/ishowtts" "$COMMAND"
    else
        echo "kept: $COMMAND, which this script did not make; run $VENV/bin/ishowtts instead"
    fi
    step install -d -m 0755 /etc/ishowtts
    if is_old_layout "$DATA" && [ -e "$UNITS/ishowtts.service" ]; then systemd_step stop ishowtts.service; fi
    make_folders "$DATA" "$CACHE" ishowtts ishowtts
    if [ -e /etc/ishowtts/config.yaml ]; then
        echo "kept: /etc/ishowtts/config.yaml"
        update_state_dir /etc/ishowtts/config.yaml "$DATA"
    else
        step install -m 0644 config/ishowtts.yaml /etc/ishowtts/config.yaml
    fi
    # An error in an old configuration must not stop an upgrade.
    step "$VENV/bin/ishowtts" chimes --make --config /etc/ishowtts/config.yaml ||
        echo "the chimes were not made; fix the error above, then run: sudo ishowtts chimes --make"
    step install -m 0644 "${UNIT_FILES[@]/#/systemd/}" "$UNITS/"
    install_drop_ins "$DROP_INS" "${SECRETS[@]}"
    install_drop_ins "$GATEWAY_DROP_INS" "${GATEWAY_SECRETS[@]}"
}

install_drop_ins() {  # install_drop_ins FOLDER SECRET...: for each secret that exists, the drop-in that passes it on
    # Only root can read the secrets. systemd passes them to the service, which cannot open the files.
    local folder=$1 secret
    shift
    for secret in "$@"; do
        if [ -e "/etc/ishowtts/$secret" ]; then
            step install -D -m 0644 "systemd/$secret.conf" "$folder/$secret.conf"
        elif [ -e "$folder/$secret.conf" ]; then
            step rm "$folder/$secret.conf"
        fi
    done
}

if [ "$dry_run" = no ] && [ "$(id -u)" != 0 ]; then
    die "this needs root: run sudo ./install.sh; --dry-run shows the steps without root"
fi
if [ "$uninstall" = yes ]; then
    remove
    exit 0
fi
if [ -z "$f5" ]; then
    if [ -e "$WITHOUT_F5" ]; then f5=no; else f5=yes; fi
fi
if [ "$f5" = no ] && [ -n "$torch" ]; then
    refuse "--torch is for F5, which --without-f5 leaves out; --with-f5 installs it again"
fi
if [ "$f5" = yes ] && is_jetpack6 && [ -z "$torch" ]; then
    refuse "JetPack 6 needs NVIDIA's torch: name its folder or index with --torch"
fi
supported_python "$python" || die "$python is not Python 3.10 to 3.13; name one with PYTHON=/path/to/python3"
add_users
step runuser -u ishowtts -- "$python" -c "" || die "the user ishowtts cannot run $python; name another with PYTHON="
install_program
mapfile -t units < <(units_to_enable)
install_files
systemd_step daemon-reload
if [ "$start" = yes ]; then
    systemd_step enable "${units[@]}"
    systemd_step try-restart ishowtts-gateway.service  # it runs only if the operator has enabled it
    systemd_step restart ishowtts.service
fi
if [ "$dry_run" = yes ]; then
    echo "dry run: nothing was changed"
else
    echo "installed; 'systemctl status ishowtts' shows the service, 'sudo ishowtts doctor' lists what is missing"
    if ! is_enabled ishowtts-gateway.service; then
        echo "for a page at http://127.0.0.1:8770/: sudo systemctl enable --now ishowtts-gateway (docs/gateway.md)"
    fi
fi
