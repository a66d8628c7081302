# shellcheck shell=bash
# Who owns which folder of the appliance; sourced by install.sh, which has `step` and `die`.
#
#   DATA        root's own, readable for the service: weights, voices, chimes. Nothing of the service's lies there, so that
#               no link of its making waits for root.
#   DATA/state  the service's own: the queue with the history, recordings, its home.
#
# Formerly DATA itself was the service's. What it holds is then moved to DATA/state, and never followed.

owned_by_root() {  # owned_by_root PATH: a link counts by its own owner
    [ "$(stat -c %u "$1" 2>/dev/null)" = 0 ]
}

is_former_layout() {  # is_former_layout DATA: or one that was being left when something went wrong
    [ -d "$1" ] && { ! owned_by_root "$1" || [ ! -e "$1/state" ] || owned_by_root "$1/state"; }
}

# make_folders DATA CACHE USER GROUP: nobody may be at work in DATA where it has the former layout.
make_folders() {
    local data=$1 cache=$2 user=$3 group=$4 name
    if is_former_layout "$data"; then leave_former_layout "$data" "$user" "$group"; fi
    step install -d -m 0750 -o root -g "$group" "$data"
    step install -d -m 0750 -o "$user" -g "$group" "$data/state" "$cache"
    # `ishowtts voices add` and `chimes --make` write there. A link of root's own is an operator's choice.
    for name in voices chimes; do
        if is_roots_folder_or_link "$data/$name"; then
            if [ -L "$data/$name" ]; then continue; fi
        elif [ -e "$data/$name" ] || [ -L "$data/$name" ]; then
            die "$data/$name is not a folder of root's; move it away, and run this again"
        fi
        step install -d -m 0755 -o root -g root "$data/$name"
    done
}

is_roots_folder_or_link() {  # is_roots_folder_or_link PATH
    owned_by_root "$1" && { [ -L "$1" ] || [ -d "$1" ]; }
}

leave_former_layout() {  # leave_former_layout DATA USER GROUP
    local data=$1 user=$2 group=$3 state=$1/state entry name target number=0 queue=inbox.sqlite
    local LC_ALL=C  # a name is bytes
    # From here on only root changes what DATA holds, and what it holds can be looked at without haste.
    step install -d -m 0750 -o root -g "$group" "$data"
    if [ -L "$state" ] || { [ -e "$state" ] && [ ! -d "$state" ]; }; then
        die "$state is a link or no folder; look at it, take it away, and run this again"
    fi
    # Root's too until everything is in it.
    step install -d -m 0700 -o root -g root "$state"
    for entry in "$data"/* "$data"/.[!.]* "$data"/..?*; do
        name=${entry##*/}
        if [ "$name" = state ] || { [ ! -e "$entry" ] && [ ! -L "$entry" ]; }; then continue; fi
        # The service's is what it owns, and its queue: a command of root's may have left files beside that.
        case $name in
            inbox.sqlite*) ;;
            voices | chimes) if is_roots_folder_or_link "$entry"; then continue; fi ;;
            *) if owned_by_root "$entry"; then continue; fi ;;
        esac
        # Nothing that lies there is overwritten, and nothing of the service's stays in root's folder.
        target=$state/$name
        case $name in
            # What belongs to a queue that gets another name goes with it, and never beside the queue that is there.
            inbox.sqlite*) target=$queue${name#inbox.sqlite} && target=$state/${target:0:255} ;;
        esac
        while [ -e "$target" ] || [ -L "$target" ]; do
            number=$((number + 1))
            target=$state/${name:0:230}.$number
        done
        case $name in
            weights | voices | chimes) echo "$entry is not root's, as it must be; it is kept as $target" ;;
            *) if [ "$target" != "$state/$name" ]; then echo "$entry is kept as $target"; fi ;;
        esac
        if [ "$name" = inbox.sqlite ]; then queue=${target##*/}; fi
        # A rename: a link is moved, and not followed.
        if ! step mv -n -T "$entry" "$target" || [ -e "$entry" ] || [ -L "$entry" ]; then
            die "$entry cannot be moved to $target; move it away yourself, and run this again"
        fi
    done
    for entry in "$state"/inbox.sqlite*; do
        # With a second name it could be any file of root's.
        if [ -f "$entry" ] && [ ! -L "$entry" ] && owned_by_root "$entry" && [ "$(stat -c %h "$entry")" = 1 ]; then
            step chown "$user:$group" "$entry"
        fi
    done
}

# adapt_config FILE DATA: the state_dir that FILE was installed with becomes the new one; other paths are told.
adapt_config() {
    local file=$1 data=$2 former
    former="^state_dir:[[:space:]]*[\"']?$data/?[\"']?[[:space:]]*(#.*)?\$"
    if grep -Eq "$former" "$file"; then
        step sed -E -i "s|$former|state_dir: $data/state|" "$file"
    fi
    if grep -E "^[^#]*$data/" "$file" | grep -Evq "$data/(state|weights|voices|chimes)"; then
        echo "note: $file names a path in $data where the service may not write any more; it may in $data/state"
    fi
}
