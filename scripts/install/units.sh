# shellcheck shell=bash
# Installs the users, the units and their drop-ins. install.sh sources this file.

UNITS=/etc/systemd/system
FORMER_UNITS=/etc/systemd/system     # earlier versions put ours there
DROP_INS=$UNITS/ishowtts.service.d
GATEWAY_DROP_INS=$UNITS/ishowtts-gateway.service.d
UNIT_FILES=(ishowtts.service ishowtts-clocks.service ishowtts-clocks-repair.path ishowtts-clocks-repair.service
    ishowtts-gateway.service)
# ishowtts-clocks-repair.path starts the repair. The operator enables the gateway.
ENABLED=("${UNIT_FILES[@]:0:3}")
SECRETS=(mqtt-username mqtt-password mqtt-tls-key)
GATEWAY_SECRETS=(gateway-mqtt-username gateway-mqtt-password gateway-token mqtt-tls-key)

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

install_units() {
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
