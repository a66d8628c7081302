# shellcheck shell=bash
# Makes a broker on this machine: mosquitto with our configuration and rights, and a password for each user that needs
# one here. install.sh sources this file.

BROKER_FOLDER=/etc/mosquitto
BROKER_CONF=$BROKER_FOLDER/conf.d/ishowtts.conf
BROKER_ACL=$BROKER_FOLDER/ishowtts.acl
BROKER_PASSWD=$BROKER_FOLDER/ishowtts.passwd
# For each user of the broker the file of its password. systemd passes those of the services on.
declare -A BROKER_USERS=(
    [ishowtts]=/etc/ishowtts/mqtt-password
    [gateway]=/etc/ishowtts/gateway-mqtt-password
    [controller]=/etc/ishowtts/controller-mqtt-password
)
BROKER_PORT=1883

broker_settings() {  # broker_settings FILE...: prints the lines that set something, except those of Debian's package
    cat "$@" 2>/dev/null | grep -Ev '^[[:space:]]*(#|$)' |
        grep -Evx '(pid_file|persistence_location|log_dest|user) .*|include_dir /etc/mosquitto/conf\.d|persistence true' || true
}

foreign_broker_file() {  # prints a file by which somebody else has configured mosquitto
    local file
    for file in "$BROKER_FOLDER/mosquitto.conf" "$BROKER_FOLDER/conf.d"/*.conf; do
        case $file in "$BROKER_CONF" | */ishowtts-bridge.conf) continue ;; esac
        if [ -n "$(broker_settings "$file")" ]; then
            echo "$file"
            return
        fi
    done
}

read_tables() {  # read_tables TABLE...: prints those that exist; without IPv6 there is no tcp6
    cat "$@" 2>/dev/null || true
}

is_port_taken() {  # is_port_taken PORT TABLE...: whether a program listens on it, by tables as /proc/net/tcp
    local port
    port=$(printf '%04X' "$1")
    read_tables "${@:2}" | awk -v port="$port" '$4 == "0A" && $2 ~ ":" port "$" {found = 1} END {exit !found}'
}

# is_broker_used PORT TABLE...: whether a program other than ours is connected to a broker here. The eighth field of the
# tables is the user of the program.
is_broker_used() {
    local port own
    port=$(printf '%04X' "$1")
    own=" $(id -u ishowtts 2>/dev/null || true) $(id -u ishowtts-gateway 2>/dev/null || true) "
    read_tables "${@:2}" | awk -v port="$port" -v own="$own" \
        '$4 == "01" && $3 ~ ":" port "$" && index(own, " " $8 " ") == 0 {found = 1} END {exit !found}'
}

check_broker() {  # refuses --broker if there is already a broker, or the configuration names another one
    local docs="docs/mqtt.md says how to use it (I already have a broker)" file name
    file=$(foreign_broker_file)
    [ -z "$file" ] || die "mosquitto is already configured, by $file; leave out --broker: $docs"
    if [ ! -e "$BROKER_CONF" ] && is_broker_used "$BROKER_PORT" /proc/net/tcp /proc/net/tcp6; then
        die "programs are connected to a broker on this machine, and our configuration would lock them out; leave out --broker: $docs"
    fi
    if [ -n "$(missing_packages mosquitto)" ] && is_port_taken "$BROKER_PORT" /proc/net/tcp /proc/net/tcp6; then
        die "another program listens on port $BROKER_PORT, probably a broker; leave out --broker: $docs"
    fi
    check_configured_broker
    name=$(cat /etc/ishowtts/mqtt-username 2>/dev/null || true)
    [ -z "$name" ] || [ "$name" = ishowtts ] ||
        die "/etc/ishowtts/mqtt-username names the user $name of another broker; leave out --broker, or remove the file"
}

check_configured_broker() {  # refuses if the configuration names another broker
    local host port
    host=$(config_file value "$CONFIG" mqtt.host)
    port=$(config_file value "$CONFIG" mqtt.port)
    case ${host:-localhost}:${port:-$BROKER_PORT} in
        "localhost:$BROKER_PORT" | "127.0.0.1:$BROKER_PORT" | "'::1':$BROKER_PORT") ;;
        *) die "$CONFIG names the broker $host, port ${port:-$BROKER_PORT}; leave out --broker, or remove mqtt.host and mqtt.port" ;;
    esac
}

has_password() {  # has_password USER: whether the broker knows the user
    grep -qs "^$1:" "$BROKER_PASSWD"
}

add_broker_user() (  # add_broker_user USER FILE: gives the broker the password in FILE
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    # Not as an argument of mosquitto_passwd: every user sees arguments. It hashes a whole file, so ours is alone in one.
    (umask 077 && printf '%s:%s\n' "$1" "$(cat "$2")" >"$folder/passwd")
    mosquitto_passwd -U "$folder/passwd"
    if [ -e "$BROKER_PASSWD" ]; then cat "$BROKER_PASSWD" >>"$folder/passwd"; fi
    install -m 0600 -o mosquitto -g mosquitto "$folder/passwd" "$BROKER_PASSWD.new"
    mv -f -T "$BROKER_PASSWD.new" "$BROKER_PASSWD"
)

install_broker() {  # makes mosquitto ours; run again it keeps every password, and files that were edited
    local user file changed=no
    check_configured_broker  # without a release, nothing could read the file before
    step install -d -m 0755 /etc/ishowtts "${BROKER_CONF%/*}"
    for user in ishowtts gateway controller; do
        file=${BROKER_USERS[$user]}
        if [ ! -e "$file" ] && has_password "$user"; then
            echo "kept: the password of the broker's user $user, which is not in $file"
            continue
        fi
        if [ ! -e "$file" ]; then step make_password "$file"; fi
        if ! has_password "$user"; then
            step add_broker_user "$user" "$file"
            changed=yes
        fi
        if [ "$user" != controller ] && [ ! -e "${file%password}username" ]; then
            step write_secret "${file%password}username" "$user"
        fi
    done
    update_file config/mosquitto/ishowtts.acl "$BROKER_ACL" 0600 mosquitto
    if [ "$updated" = yes ]; then changed=yes; fi
    update_file config/mosquitto/ishowtts.conf "$BROKER_CONF" 0644 root
    if [ "$updated" = yes ]; then
        systemd_step enable mosquitto.service
        systemd_step restart mosquitto.service || abandon_broker
    elif [ "$changed" = yes ]; then
        systemd_step reload-or-restart mosquitto.service
    fi
}

say_broker() {  # how a program publishes a line at the broker
    echo "the broker on port $BROKER_PORT lets in its users only; the password of 'controller', who may publish lines and" \
        "commands: sudo cat ${BROKER_USERS[controller]} (docs/operations.md, Another broker)"
}

abandon_broker() {  # after a configuration with which mosquitto does not start
    step rm -f "$BROKER_CONF"
    systemd_step restart mosquitto.service || true
    die "mosquitto does not start with our configuration, which was removed; see: journalctl -u mosquitto"
}

remove_broker() {  # with --purge: removes our configuration of mosquitto, with its users; the package stays
    if [ ! -e "$BROKER_CONF" ]; then
        # An installation that was interrupted has made these before it.
        if [ "$purge" = yes ]; then step rm -f "$BROKER_ACL" "$BROKER_ACL.new" "$BROKER_PASSWD" "$BROKER_PASSWD.new"; fi
        return
    fi
    if [ "$purge" = no ]; then
        echo "kept: mosquitto with our configuration, $BROKER_CONF (--purge removes it)"
    elif ! is_shipped "$BROKER_CONF" config/mosquitto/ishowtts.conf; then
        echo "kept: $BROKER_CONF, which was edited, with the users of the broker; remove them by hand"
    else
        step rm -f "$BROKER_CONF" "$BROKER_CONF.new" "$BROKER_ACL" "$BROKER_ACL.new" "$BROKER_PASSWD" "$BROKER_PASSWD.new"
        systemd_step try-restart mosquitto.service || true
    fi
}
