# shellcheck shell=bash
# Installs the folders and the configuration. install.sh sources this file.

DATA=/var/lib/ishowtts
CACHE=/var/cache/ishowtts
CONFIG=/etc/ishowtts/config.yaml
# The defaults of the last version before the releases, of which no copy was kept.
FORMER_DEFAULTS=d218db722bd219a07283ffaadd621c078d59b0fe8993b508b1f0fd9f5f8a4475

config_file() {  # config_file ARGUMENT...: runs config_file.py, which needs the YAML library of a release; else prints nothing
    local release=$VENV
    if [ ! -x "$release/bin/python" ]; then release=$(running_release); fi
    # Without a release, the path would be that of the system's Python. After an upgrade of the system, the Python of an
    # older release runs, but no longer finds its libraries.
    if [ -n "$release" ] && "$release/bin/python" -I -c "import yaml" 2>/dev/null; then
        "$release/bin/python" -I scripts/install/config_file.py "$@"
    fi
}

install_configuration() {  # makes the folders, the configuration and the chimes
    if is_old_layout "$DATA" && { [ -e "$UNITS/ishowtts.service" ] || has_former_units; }; then systemd_step stop ishowtts.service; fi
    make_folders "$DATA" "$CACHE" ishowtts ishowtts
    # An existing file changes only at the switch: until then the running version reads it.
    if [ -e "$CONFIG" ]; then
        update_state_dir "$CONFIG" "$DATA"
    else
        step install -m 0644 config/ishowtts.yaml "$CONFIG.part"
        step mv -f -T "$CONFIG.part" "$CONFIG"
    fi
    # An error in an old configuration must not stop an upgrade.
    step "$VENV/bin/ishowtts" chimes --make --config "$CONFIG" ||
        echo "the chimes were not made; fix the error above, then run: sudo ishowtts chimes --make"
}

check_configuration() {  # before the switch: with a file that the new version does not know, it would not start
    local faults
    if [ "$dry_run" = yes ] || [ ! -e "$CONFIG" ] || is_unedited; then return; fi
    faults=$(config_file faults "$CONFIG")
    if [ -z "$faults" ]; then return; fi
    echo "this version cannot use $CONFIG:" >&2
    printf '%s\n' "$faults" | sed 's/^/      /' >&2
    if [ "$start" = no ]; then return; fi
    die "fix the lines above, then run this again"
}

is_unedited() {  # whether the configuration is the defaults of some version
    is_shipped "$CONFIG" config/ishowtts.yaml || [ "$(sha256sum <"$CONFIG")" = "$FORMER_DEFAULTS  -" ]
}

# Brings the defaults of this version: replaces a file that nobody edited, and puts them beside one that the operator edited.
# Beside, because only the operator knows what a merge may change; with a name that no program reads.
update_configuration() {
    local new=config/ishowtts.yaml former=$switch_before/share/ishowtts/config/ishowtts.yaml
    # The folder of a version before the releases has a copy of ours.
    if [ ! -e "$former" ] || [ "$switch_before" = "$FORMER_VENV" ]; then former=''; fi
    if [ -e "$CONFIG.new" ] && ! cmp -s "$CONFIG.new" "$new" && is_shipped "$CONFIG.new" "$new"; then step rm "$CONFIG.new"; fi
    if cmp -s "$CONFIG" "$new" || [ ! -e "$CONFIG" ]; then return; fi
    if is_unedited; then
        step install -m "$(stat -c %a "$CONFIG")" "$new" "$CONFIG.new"
        step mv -f -T "$CONFIG.new" "$CONFIG"
        echo "replaced: $CONFIG, which had the defaults of an earlier version"
        return
    fi
    echo "kept: $CONFIG"
    if cmp -s "$former" "$new" || cmp -s "$CONFIG.new" "$new"; then return; fi
    step install -m 0644 "$new" "$CONFIG.new"
    echo "      the defaults of this version are beside it, as $CONFIG.new"
    config_file changes "$CONFIG" "$new" ${former:+"$former"} | sed 's/^/      /'
}
