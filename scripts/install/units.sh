# shellcheck shell=bash
# Installs the users, the units and their drop-ins. install.sh sources this file.

UNITS=/usr/local/lib/systemd/system  # an operator's unit of the same name in /etc/systemd/system wins over ours
FORMER_UNITS=/etc/systemd/system     # earlier versions put ours there
SYSUSERS=/usr/local/lib/sysusers.d/ishowtts.conf
TMPFILES=/usr/local/lib/tmpfiles.d/ishowtts.conf
DROP_INS=$FORMER_UNITS/ishowtts.service.d
GATEWAY_DROP_INS=$FORMER_UNITS/ishowtts-gateway.service.d
UNIT_FILES=(ishowtts.service ishowtts-clocks.service ishowtts-clocks-repair.path ishowtts-clocks-repair.service
    ishowtts-gateway.service)
# ishowtts-clocks-repair.path starts the repair. The operator enables the gateway.
ENABLED=(ishowtts.service ishowtts-clocks.service ishowtts-clocks-repair.path)
SECRETS=(mqtt-username mqtt-password mqtt-tls-key)
GATEWAY_SECRETS=(gateway-mqtt-username gateway-mqtt-password gateway-token mqtt-tls-key)

is_enabled() {  # is_enabled UNIT
    [ -d /run/systemd/system ] && systemctl is-enabled --quiet "$1" 2>/dev/null
}

units_to_enable() {  # prints the units, except one that the operator has disabled since an earlier installation
    local unit
    for unit in "${ENABLED[@]}"; do
        if { [ -e "$UNITS/$unit" ] || [ -e "$FORMER_UNITS/$unit" ]; } && is_enabled ishowtts.service && ! is_enabled "$unit"; then
            echo "kept: $unit is disabled; to enable it, run: sudo systemctl enable --now $unit" >&2
        else
            echo "$unit"
        fi
    done
}

add_users() {  # makes the users, with the groups that this machine has
    local group
    step install -D -m 0644 systemd/sysusers.d/ishowtts.conf "$SYSUSERS"
    for group in audio video render; do
        # systemd-sysusers would make the group.
        getent group "$group" >/dev/null || step sed -i "/^m ishowtts $group\$/d" "$SYSUSERS"
    done
    step systemd-sysusers "$SYSUSERS"
}

has_former_units() {  # whether an earlier version put its units into /etc/systemd/system
    [ ! -L "$FORMER_UNITS/ishowtts.service" ] &&
        grep -qs "^ExecStart=/opt/ishowtts/venv/" "$FORMER_UNITS/ishowtts.service"
}

install_units() {
    local unit
    step mkdir -p "$UNITS"
    step install -m 0644 "${UNIT_FILES[@]/#/systemd/}" "$UNITS/"
    if has_former_units; then step rm -f "${UNIT_FILES[@]/#/$FORMER_UNITS/}"; fi
    for unit in "${UNIT_FILES[@]}"; do
        if [ -e "$FORMER_UNITS/$unit" ] && ! has_former_units; then
            echo "kept: $FORMER_UNITS/$unit, which systemd uses instead of $UNITS/$unit"
        fi
    done
    install_drop_ins "$DROP_INS" "${SECRETS[@]}"
    install_drop_ins "$GATEWAY_DROP_INS" "${GATEWAY_SECRETS[@]}"
    install_device_drop_ins
}

our_drop_ins() {  # prints the names of the drop-ins that this script makes
    printf '%s.conf\n' "${SECRETS[@]}" "${GATEWAY_SECRETS[@]}" "${DEVICE_DROP_INS[@]}"
}

has_other_drop_ins() {  # has_other_drop_ins FOLDER: whether it has any of the operator, as `systemctl edit` makes them
    [ -d "$1" ] && find "$1" -mindepth 1 -printf '%f\n' | grep -Fqxv -f <(our_drop_ins)
}

remove_units() {  # removes the units, ours among the drop-ins, and what made the users and the folders
    local name folder ours=("${UNIT_FILES[@]/#/$UNITS/}" "$SYSUSERS" "$TMPFILES")
    if has_former_units; then ours+=("${UNIT_FILES[@]/#/$FORMER_UNITS/}"); fi
    while read -r name; do ours+=("$DROP_INS/$name" "$GATEWAY_DROP_INS/$name"); done < <(our_drop_ins)
    step rm -f "${ours[@]}"
    # The folders are ours only if nothing else is in them.
    for folder in "$UNITS" "${UNITS%/*}" "${SYSUSERS%/*}" "${TMPFILES%/*}" "$DROP_INS" "$GATEWAY_DROP_INS"; do
        if [ -d "$folder" ]; then step rmdir --ignore-fail-on-non-empty "$folder"; fi
    done
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
