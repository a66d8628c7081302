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

cd "$(dirname "$(readlink -f "$0")")"  # a link leads here from /opt/ishowtts
# shellcheck source=scripts/common.sh
. scripts/common.sh
# shellcheck source=scripts/install/steps.sh
. scripts/install/steps.sh
# shellcheck source=scripts/install/folders.sh
. scripts/install/folders.sh
# shellcheck source=scripts/install/releases.sh
. scripts/install/releases.sh
# shellcheck source=scripts/install/program.sh
. scripts/install/program.sh
# shellcheck source=scripts/install/configuration.sh
. scripts/install/configuration.sh
# shellcheck source=scripts/install/units.sh
. scripts/install/units.sh
# shellcheck source=scripts/install/remove.sh
. scripts/install/remove.sh
# The system's Python. The service cannot read one in a user's home.
python=${PYTHON:-/usr/bin/python3}

umask 022  # the service runs what root installs
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
step runuser -u nobody -- "$python" -c "" ||
    die "only root can run $python, so the service cannot; name another with PYTHON="
install_packages
new_release
install_program
install_share
complete_release
add_users
install_configuration
mapfile -t units < <(units_to_enable)
switch_release
install_command
remember_f5
install_units
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
