# shellcheck shell=bash
# Removes what install.sh has installed. install.sh sources this file.

COMMAND=/usr/local/bin/ishowtts
# The operator copies this file there with the Wyoming server: without one, it would announce what nobody serves.
AVAHI_SERVICE=/etc/avahi/services/ishowtts-wyoming.service

is_our_link() {  # whether $COMMAND is the link that this script makes
    local target
    target=$(readlink "$COMMAND") || return 1
    [ "$target" = "$CURRENT/bin/ishowtts" ] || [ "$target" = "$FORMER_VENV/bin/ishowtts" ]
}

remove() {
    if [ -d /run/systemd/system ]; then
        # One by one: an earlier version had fewer units, and for a missing one systemctl would leave the others.
        local unit
        for unit in ishowtts-gateway.service "${ENABLED[@]}"; do
            if [ -e "$UNITS/$unit" ] || [ -e "$FORMER_UNITS/$unit" ]; then step systemctl disable --now "$unit" || true; fi
        done
    fi
    if [ -x "$VENV/bin/ishowtts" ]; then
        step "$VENV/bin/ishowtts" ha remove || echo "Home Assistant may still show the appliance: delete the device there"
    fi
    local user folder
    remove_broker
    cd /  # this script may run from the folder that goes
    remove_units
    step rm -f "$AVAHI_SERVICE"
    if is_our_link; then step rm "$COMMAND"; fi
    systemd_step daemon-reload
    for user in ishowtts-gateway ishowtts; do
        if id "$user" >/dev/null 2>&1; then
            step userdel "$user" || echo "the user $user stays, because one of its processes still runs"
        fi
    done
    local kept=(/etc/ishowtts "$DATA" "$CACHE" "${LOG%/*}")
    for folder in "$DROP_INS" "$GATEWAY_DROP_INS"; do
        if has_other_drop_ins "$folder"; then kept+=("$folder"); fi
    done
    step rm -f "$LOCK"
    if [ "$purge" = yes ]; then
        step rm -rf "${kept[@]}"
    else
        echo "kept: ${kept[*]} (--purge removes them)"
    fi
    step rm -rf "$BASE"  # last: until then its install.sh can go on after an interruption
}
