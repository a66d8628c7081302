# shellcheck shell=bash
# Makes the drop-ins that depend on the device: its systemd, its nodes of GPU and sound, jetson-stats. install.sh sources
# this file.

DEVICE_DROP_INS=(restart-delay devices jetson-stats)

systemd_version() {  # prints the number of the version, as in 252; 0 if there is none
    local version
    version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    echo "${version:-0}"
}

# unlisted_devices DEV CLASSES: prints the nodes of GPU and sound below DEV that the unit does not allow by their class.
# CLASSES is /proc/devices. On a Jetson some have the class `misc`, which is shared with devices that are nobody's business.
unlisted_devices() {
    local dev=$1 classes=$2 node class
    while read -r node; do
        class=$(awk -v major="$((16#$(stat -c %t "$node")))" '/^Block/ {exit} $1 == major {print $2}' "$classes")
        case $class in
            alsa | drm | nv*) ;;
            *) case $node in *[!A-Za-z0-9/_.-]*) ;; *) echo "$node" ;; esac ;;
        esac
    done < <(find "$dev"/nv* "$dev/host1x-fence" "$dev/dri" "$dev/snd" -type c 2>/dev/null | sort)
}

write_lines() {  # write_lines FILE LINE...
    mkdir -p "${1%/*}"
    printf '%s\n' "${@:2}" >"$1"
}

remove_drop_in() {  # remove_drop_in FILE
    if [ -e "$1" ]; then step rm "$1"; fi
}

install_device_drop_ins() {
    local folder nodes
    for folder in "$DROP_INS" "$GATEWAY_DROP_INS"; do
        if [ "$(systemd_version)" -ge 254 ]; then
            step install -D -m 0644 systemd/restart-delay.conf "$folder/restart-delay.conf"
        else
            remove_drop_in "$folder/restart-delay.conf"
        fi
    done
    mapfile -t nodes < <(unlisted_devices /dev /proc/devices)
    if [ "${#nodes[@]}" -gt 0 ]; then
        nodes=("${nodes[@]/#/DeviceAllow=}")
        step write_lines "$DROP_INS/devices.conf" "# install.sh has found these nodes on this device." "[Service]" "${nodes[@]/%/ rw}"
    else
        remove_drop_in "$DROP_INS/devices.conf"
    fi
    if [ "$(config_file value "$CONFIG" board.jetson_stats)" != true ]; then
        remove_drop_in "$DROP_INS/jetson-stats.conf"
    elif getent group jtop >/dev/null; then
        step install -D -m 0644 systemd/jetson-stats.conf "$DROP_INS/jetson-stats.conf"
    else
        remove_drop_in "$DROP_INS/jetson-stats.conf"
        echo "note: board.jetson_stats is on, but jetson-stats has made no group jtop; install it and run this again"
    fi
}
