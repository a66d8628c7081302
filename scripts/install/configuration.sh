# shellcheck shell=bash
# Installs the folders and the configuration. install.sh sources this file.

DATA=/var/lib/ishowtts
CACHE=/var/cache/ishowtts
CONFIG=/etc/ishowtts/config.yaml

config_file() {  # config_file ARGUMENT...: runs config_file.py, which needs the YAML library of a release
    local python=$VENV/bin/python
    if [ ! -x "$python" ]; then python=$(running_release)/bin/python; fi
    if [ -x "$python" ]; then "$python" -I scripts/install/config_file.py "$@"; fi
}

install_configuration() {  # makes the folders, the configuration and the chimes
    if is_old_layout "$DATA" && { [ -e "$UNITS/ishowtts.service" ] || has_former_units; }; then systemd_step stop ishowtts.service; fi
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
}
