#!/usr/bin/env bash
# Installs the appliance from this checkout on Debian, Ubuntu or JetPack. Run it again to upgrade.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: install.sh [--dry-run] [--no-start] [--bench] [--with-transcription | --without-transcription]
                  [--torch WHEELS] [--without-f5 | --with-f5] [--offline DIR] [--ignore-gpu]
                  [--broker] [--weights DIR] [--fetch MODEL] [--accept-licence] [--no-line]
       install.sh --rollback [--set-queue-aside] [--no-start] [--dry-run]
       install.sh --uninstall [--purge] [--dry-run]

  --dry-run       print every step and change nothing (does not need root)
  --no-start      install, but do not enable or start the services
  --bench         also install the benchmarks (ishowtts bench) and what upstream's modules import; without this, an
                  upgrade removes them
  --with-transcription
                  also install speech recognition (470 MB), so that `ishowtts voices add` writes down the words of a
                  clip; later upgrades keep it, until --without-transcription
  --torch WHEELS  required on JetPack 6: a folder or an index with NVIDIA's torch (with --bench: and torchaudio)
  --without-f5    install neither F5 nor torch: for a stage, whose speech other boards render (docs/stage.md), or where
                  the natural voice is enough; later upgrades keep it, until --with-f5
  --broker        also make a broker on this machine: mosquitto with passwords and rights for its users
  --weights DIR   also take F5's weights from this folder (ishowtts fetch --from DIR)
  --fetch MODEL   also fetch these weights of F5, or with --weights: the folder has this model (ishowtts fetch --list)
  --accept-licence
                  accept the licence of the weights without a question
  --no-line       do not speak a line at the end
  --offline DIR   use no network: every package comes from DIR, which scripts/bundle has made on a machine like this one
  --ignore-gpu    upgrade even if the new version cannot use the GPU, which the present one can
  --rollback      go back to the version before the last upgrade; again, to the later one
  --set-queue-aside
                  with --rollback: if that version cannot read the queue's file, rename the file and begin an empty one
  --uninstall     remove the program, the units and the users; keep configuration, state and the log
  --purge         with --uninstall: also remove configuration, state, caches and the log

After an installation, /opt/ishowtts/install.sh --rollback and --uninstall work without this checkout.
TEXT
}

refuse() {
    echo "install.sh: $*; --help shows the options" >&2
    exit 2
}

arguments=("$@")
dry_run=no start=yes bench=no transcription='' uninstall=no purge=no rollback=no set_queue_aside=no torch='' f5=''
offline='' ignore_gpu=no
broker=no weights='' fetch='' accept_licence=no line=yes
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --no-start) start=no ;;
        --bench) bench=yes ;;
        --with-transcription | --without-transcription)
            choose=yes
            if [ "$1" = --without-transcription ]; then choose=no; fi
            [ "${transcription:-$choose}" = "$choose" ] ||
                refuse "--with-transcription and --without-transcription exclude each other"
            transcription=$choose
            ;;
        --ignore-gpu) ignore_gpu=yes ;;
        --with-f5 | --without-f5)
            choose=yes
            if [ "$1" = --without-f5 ]; then choose=no; fi
            [ "${f5:-$choose}" = "$choose" ] || refuse "--with-f5 and --without-f5 exclude each other"
            f5=$choose
            ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --rollback) rollback=yes ;;
        --set-queue-aside) set_queue_aside=yes ;;
        --torch)
            case ${2:---} in --*) refuse "--torch needs a folder or an index" ;; esac
            torch=$2
            if [ -d "$torch" ]; then torch=$(realpath "$torch"); fi
            shift
            ;;
        --offline)
            case ${2:---} in --*) refuse "--offline needs a folder" ;; esac
            offline=$(realpath -e "$2" 2>/dev/null) || refuse "--offline needs a folder, and $2 does not exist"
            shift
            ;;
        --broker) broker=yes ;;
        --weights | --fetch)
            case ${2:---} in --*) refuse "$1 needs a name after it" ;; esac
            if [ "$1" = --fetch ]; then fetch=$2; else weights=$(readlink -m "$2"); fi
            shift
            ;;
        --accept-licence) accept_licence=yes ;;
        --no-line) line=no ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) refuse "unknown option $1" ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$uninstall" = yes ] || refuse "--purge needs --uninstall"
[ "$set_queue_aside" = no ] || [ "$rollback" = yes ] || refuse "--set-queue-aside needs --rollback"
[ "$uninstall" = no ] || [ "$rollback" = no ] || refuse "--uninstall and --rollback exclude each other"
if [ "$uninstall$rollback" != nono ]; then
    [ "$bench$broker$accept_licence$ignore_gpu$line$transcription$f5$torch$offline$weights$fetch" = nonononoyes ] ||
        refuse "--uninstall and --rollback take no options of an installation"
fi

cd "$(dirname "$(readlink -f "$0")")"  # a link leads here from /opt/ishowtts
if [ -z "$offline" ] && [ -e manifest ]; then offline=$PWD; fi  # this is the installer of a bundle
# shellcheck source=scripts/common.sh
. scripts/common.sh
# shellcheck source=scripts/install/steps.sh
. scripts/install/steps.sh
# shellcheck source=scripts/install/folders.sh
. scripts/install/folders.sh
# shellcheck source=scripts/install/releases.sh
. scripts/install/releases.sh
# shellcheck source=scripts/install/run.sh
. scripts/install/run.sh
# shellcheck source=scripts/install/switch.sh
. scripts/install/switch.sh
# shellcheck source=scripts/install/parts.sh
. scripts/install/parts.sh
# shellcheck source=scripts/install/program.sh
. scripts/install/program.sh
# shellcheck source=scripts/install/torch.sh
. scripts/install/torch.sh
# shellcheck source=scripts/install/gpu.sh
. scripts/install/gpu.sh
# shellcheck source=scripts/install/offline.sh
. scripts/install/offline.sh
# shellcheck source=scripts/install/configuration.sh
. scripts/install/configuration.sh
# shellcheck source=scripts/install/units.sh
. scripts/install/units.sh
# shellcheck source=scripts/install/devices.sh
. scripts/install/devices.sh
# shellcheck source=scripts/install/files.sh
. scripts/install/files.sh
# shellcheck source=scripts/install/broker.sh
. scripts/install/broker.sh
# shellcheck source=scripts/install/weights.sh
. scripts/install/weights.sh
# shellcheck source=scripts/install/test_line.sh
. scripts/install/test_line.sh
# shellcheck source=scripts/install/remove.sh
. scripts/install/remove.sh
clean_environment
# The system's Python. The service cannot read one in a user's home.
python=${PYTHON:-/usr/bin/python3}

umask 022  # the service runs what root installs
if [ "$dry_run" = no ] && [ "$(id -u)" != 0 ]; then
    die "this needs root: run sudo $0${arguments[*]:+ ${arguments[*]}}; --dry-run shows the steps without root"
fi
if [ "$uninstall" = yes ]; then
    begin
    VENV=$(running_release)
    VENV=${VENV:-$CURRENT}
    remove
    exit 0
fi
if [ "$rollback" = yes ]; then
    begin
    check_links
    finish_interrupted_switch
    part check_rollback "Check the version before"
    part prepare_return "Keep what a return needs"
    part switch_release "Switch to it, and wait until it is ready"
    run_parts
    if [ "$dry_run" = yes ]; then echo "dry run: nothing was changed"; else echo "now: the version $(name_of "$VENV")"; fi
    exit 0
fi
[ -e pyproject.toml ] || [ -n "$offline" ] ||
    refuse "this copy can only go back (--rollback) or remove (--uninstall); to install a version, run its own install.sh"
if [ -n "$offline" ]; then choose_parts_of_bundle; fi
choose_parts
check_torch_choice
check_weights
supported_python "$python" || die "$python is not Python 3.10 to 3.13; name one with PYTHON=/path/to/python3"

check_machine() {  # refuses before anything is changed
    if [ "$broker" = yes ]; then check_broker; fi
    step runuser -u nobody -- "$python" -c "" ||
        die "only root can run $python, so the service cannot; name another with PYTHON="
    if [ -n "$offline" ]; then
        check_bundle
        use_bundle
    fi
    remove_interrupted  # its space is needed: after a kill, nothing has removed it
    check_disk_space
}

build_release() {
    new_release
    install_program
    install_share
    check_gpu
    complete_release
}

configure() {
    check_configuration
    prepare_return
    add_users
    if [ "$broker" = yes ]; then install_broker; fi
    install_configuration
}

clean_up() {
    remember_f5
    remove_old_releases
}

begin
check_links
finish_interrupted_switch
part check_machine "Check this machine"
part install_packages "Install the packages of the system"
part build_release "Build the new version beside the present one"
part configure "Make users, folders and configuration"
if [ -n "$weights$fetch" ]; then part install_weights "Fetch the weights of F5"; fi
part switch_release "Switch to the new version, and wait until it is ready"
if [ "$start" = yes ] && [ "$line" = yes ]; then part speak_test_line "Speak a line"; fi
part clean_up "Remove old versions"
run_parts
if [ "$dry_run" = yes ]; then
    echo "dry run: nothing was changed"
else
    echo "installed: the version $(name_of "$VENV"); 'systemctl status ishowtts' shows the service," \
        "'sudo ishowtts doctor' lists what is missing"
    say_gpu_fault
    if [ "$broker" = yes ]; then say_broker; fi
    if ! is_enabled ishowtts-gateway.service; then
        echo "for a page at http://127.0.0.1:8770/: sudo systemctl enable --now ishowtts-gateway (docs/gateway.md)"
    fi
fi
