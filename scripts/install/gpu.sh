# shellcheck shell=bash
# Computes on the GPU with the new release, before it becomes the current one. install.sh sources this file.

gpu_fault=''  # why the GPU cannot be used, for the end of the installation

has_gpu() {  # whether there is a GPU of NVIDIA: its device nodes on a PC, on a Jetson, on a newer Jetson
    compgen -G "/dev/nvidia[0-9]*" >/dev/null || [ -e /dev/nvhost-gpu ] || compgen -G "/dev/nvgpu/*" >/dev/null
}

service_rights() {  # prints user, group and further groups of the service; before the first installation it has no user
    local group groups=()
    if id ishowtts >/dev/null 2>&1; then
        echo "ishowtts ishowtts $(id -Gn ishowtts)"
        return 0
    fi
    for group in video render; do
        if getent group "$group" >/dev/null; then groups+=("$group"); fi
    done
    echo "nobody nogroup ${groups[*]}"
}

sandbox() {  # prints the options of systemd-run that give a program the sandbox of the service
    grep -E '^(NoNewPrivileges|CapabilityBoundingSet|AmbientCapabilities|Protect[A-Za-z]*|Private[A-Za-z]*|Restrict[A-Za-z]*|LockPersonality|SystemCall[A-Za-z]*|KeyringMode|UMask|Device[A-Za-z]*)=' \
        systemd/ishowtts.service | sed 's/^/--property=/'
    # A drop-in will allow these (devices.sh).
    unlisted_devices /dev /proc/devices | sed 's/.*/--property=DeviceAllow=& rw/'
}

as_service() {  # as_service COMMAND...: runs a command with the user, the groups and the sandbox of the service
    local user group groups options
    read -r user group groups < <(service_rights)
    mapfile -t options < <(sandbox)
    options=(--quiet --pipe --wait --collect "--property=User=$user" "--property=Group=$group"
        "--property=SupplementaryGroups=$groups" "${options[@]}")
    if [ -d /run/systemd/system ] && systemd-run "${options[@]}" true 2>/dev/null; then
        systemd-run "${options[@]}" --property=RuntimeMaxSec=300 "$@"
    else
        (cd / && timeout --kill-after=10 300 setpriv --reuid="$user" --regid="$group" --groups="$(tr ' ' , <<<"${groups:-$group}")" \
            --no-new-privs --inh-caps=-all --bounding-set=-all env -u HOME "$@")
    fi
}

check_gpu() {
    if [ "$f5" = no ]; then return 0; fi
    if has_gpu; then
        step try_gpu "$VENV"
    else
        echo "no GPU of NVIDIA here: F5 runs on the CPU"
    fi
}

try_gpu() {  # try_gpu RELEASE: an upgrade ends here if the release cannot use the GPU and the one that runs now can
    local status=0 message before
    message=$(as_service "$1/bin/python" -m ishowtts.engines.f5.gpu_check 2>&1) || status=$?
    message=$(tail -n 1 <<<"$message")
    case $status in
        0) echo "the GPU works: $message" && return 0 ;;
        1) ;;
        3) echo "the GPU was not tried: $message" && return 0 ;;
        124 | 137) message="the check did not end within 300 s; look at dmesg for errors of the GPU" ;;
        *) message="the check ended with status $status: ${message:-no output}" ;;
    esac
    gpu_fault=${message:-the check gave no answer (status $status); look at dmesg for errors of the GPU}
    before=$(running_release)
    if [ "$ignore_gpu" = yes ] || ! has_package "$before" torch || ! could_use_gpu "$before"; then return 0; fi
    die "the new version cannot use the GPU, and the one that runs now can: $gpu_fault." \
        "Nothing was changed. To upgrade all the same, add --ignore-gpu"
}

could_use_gpu() {  # could_use_gpu RELEASE: a former version has no gpu_check, but each has the probe of the doctor
    as_service "$1/bin/python" -m ishowtts.engines.f5.device_probe 2>/dev/null | grep -q '"cuda_fault": null'
}

say_gpu_fault() {  # repeats at the end of the installation what is wrong with the GPU
    [ -n "$gpu_fault" ] || return 0
    echo "F5 cannot use the GPU: $gpu_fault"
    echo "until this is fixed, the natural voice speaks, or F5 on the CPU; 'sudo ishowtts doctor' looks again"
}
