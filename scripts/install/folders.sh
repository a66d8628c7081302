# shellcheck shell=bash
# Makes the folders of the appliance with their owners: systemd/tmpfiles.d/ishowtts.conf lists them. install.sh sources
# this file, and defines `step` and `die`.
#
#   DATA        belongs to root; the service can read it: weights, voices, chimes. The service cannot write here, so it
#               cannot leave a link that root would follow.
#   DATA/state  belongs to the service: the queue with the history, recordings, its home.
#
# In the old layout DATA itself belonged to the service. Its content is moved to DATA/state; links are never followed.

owned_by_root() {  # owned_by_root PATH: of a link, the link itself counts
    [ "$(stat -c %u "$1" 2>/dev/null)" = 0 ]
}

is_old_layout() {  # is_old_layout DATA: also true if an upgrade was interrupted while it moved the files
    [ -d "$1" ] && { ! owned_by_root "$1" || [ ! -e "$1/state" ] || owned_by_root "$1/state"; }
}

# make_folders DATA CACHE USER GROUP: if DATA has the old layout, no process may use it during the call.
make_folders() {
    local data=$1 cache=$2 user=$3 group=$4 name
    if is_old_layout "$data"; then move_old_layout "$data" "$user" "$group"; fi
    # `ishowtts voices add` and `chimes --make` write here. A link that root owns is the operator's choice.
    for name in voices chimes; do
        if [ -e "$data/$name" ] || [ -L "$data/$name" ]; then
            is_root_folder_or_link "$data/$name" ||
                die "$data/$name is not a folder that root owns; move it away and run this again"
        fi
    done
    # systemd-tmpfiles leaves a folder as it is if its path is a link, as when the operator moved it to a larger disk.
    if [ -L "$data" ]; then step install -d -m 0750 -o root -g "$group" "$data"; fi
    if [ -L "$cache" ]; then step install -d -m 0700 -o "$user" -g "$group" "$cache"; fi
    # Not earlier: at a boot, this file would give the folders of the old layout to root, and their content would stay.
    step install -D -m 0644 systemd/tmpfiles.d/ishowtts.conf "$TMPFILES"
    step systemd-tmpfiles --create "$TMPFILES"
}

is_root_folder_or_link() {  # is_root_folder_or_link PATH
    owned_by_root "$1" && { [ -L "$1" ] || [ -d "$1" ]; }
}

move_old_layout() {  # move_old_layout DATA USER GROUP
    local data=$1 user=$2 group=$3 state=$1/state entry name target number=0 queue=inbox.sqlite
    local LC_ALL=C  # a name is bytes
    # From here on only root can change the entries of DATA, so the checks below stay true.
    step install -d -m 0750 -o root -g "$group" "$data"
    if [ -L "$state" ] || { [ -e "$state" ] && [ ! -d "$state" ]; }; then
        die "$state is a link or not a folder; inspect it, move it away and run this again"
    fi
    # It belongs to root until everything is in it.
    step install -d -m 0700 -o root -g root "$state"
    for entry in "$data"/* "$data"/.[!.]* "$data"/..?*; do
        name=${entry##*/}
        if [ "$name" = state ] || { [ ! -e "$entry" ] && [ ! -L "$entry" ]; }; then continue; fi
        # Only the service's files move. The queue's files always do: a command that root ran may own some of them.
        case $name in
            inbox.sqlite*) ;;
            voices | chimes) if is_root_folder_or_link "$entry"; then continue; fi ;;
            *) if owned_by_root "$entry"; then continue; fi ;;
        esac
        # Existing files are never overwritten, and no file of the service stays in root's folder.
        target=$state/$name
        case $name in
            # A renamed queue keeps its -wal and -shm files; beside another queue SQLite would read them into that one.
            inbox.sqlite*) target=$queue${name#inbox.sqlite} && target=$state/${target:0:255} ;;
        esac
        while [ -e "$target" ] || [ -L "$target" ]; do
            number=$((number + 1))
            target=$state/${name:0:230}.$number
        done
        case $name in
            weights | voices | chimes) echo "root does not own $entry, as it must; it is kept as $target" ;;
            *) if [ "$target" != "$state/$name" ]; then echo "$entry is kept as $target"; fi ;;
        esac
        if [ "$name" = inbox.sqlite ]; then queue=${target##*/}; fi
        # A rename moves a link and does not follow it.
        if ! step mv -n -T "$entry" "$target" || [ -e "$entry" ] || [ -L "$entry" ]; then
            die "$entry cannot be moved to $target; move it away yourself and run this again"
        fi
    done
    for entry in "$state"/inbox.sqlite*; do
        # A file with a second hard link could be any file of root.
        if [ -f "$entry" ] && [ ! -L "$entry" ] && owned_by_root "$entry" && [ "$(stat -c %h "$entry")" = 1 ]; then
            step chown "$user:$group" "$entry"
        fi
    done
}

# update_state_dir FILE DATA: changes the old default of state_dir to DATA/state, and warns of other paths in DATA.
update_state_dir() {
    local file=$1 data=$2 old
    old="^state_dir:[[:space:]]*[\"']?$data/?[\"']?[[:space:]]*(#.*)?\$"
    if grep -Eq "$old" "$file"; then
        step sed -E -i "s|$old|state_dir: $data/state|" "$file"
    fi
    if grep -E "^[^#]*$data/" "$file" | grep -Evq "$data/(state|weights|voices|chimes)"; then
        echo "note: $file names a path in $data, where the service can no longer write; it can write in $data/state"
    fi
}
