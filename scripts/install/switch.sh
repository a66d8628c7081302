# shellcheck shell=bash
# Makes a release the current one, and goes back if it does not become ready; rolls back on request; removes old releases.
# install.sh sources this file.

# Exists during a switch. A run that finds it goes back first: what it names is the last version that was seen to run.
SWITCH=$BASE/.switch
QUEUE_PROGRAM=share/ishowtts/scripts/install/queue_file.py
switching=''        # "yes" during a switch
switch_began_s=0    # when it began
switch_before=''    # folder of the release that was current before
switch_previous=''  # what `previous` named before
queue=''            # file of the queue
queue_kept=''       # the queue as the release before can read it: a copy, or the file itself after --set-queue-aside

name_of() {  # name_of RELEASE: prints the name of a release for a person
    if [ "$1" = "$FORMER_VENV" ]; then echo "before the releases ($1)"; else echo "${1##*/}"; fi
}

queue_version_of() {  # queue_version_of RELEASE: prints the newest version of the queue's file that it can read
    cat "$1/share/ishowtts/queue-version" 2>/dev/null || true
}

on_queue() {  # on_queue COMMAND...: runs queue_file.py as the service, which owns the file and its folder
    runuser -u ishowtts -- "$VENV/bin/python" -I "$VENV/$QUEUE_PROGRAM" "$@"
}

find_queue() {  # sets `queue` to the file of the queue, or to nothing if there is none
    local folder
    folder=$(config_file value "$CONFIG" state_dir)
    queue=${folder:-$DATA/state}/inbox.sqlite
    [ -e "$queue" ] || queue=''
}

is_queue_too_new() {  # is_queue_too_new RELEASE: whether a later version wrote the queue's file; sets queue_version
    local readable
    readable=$(queue_version_of "$1")
    queue_version=$(on_queue version "$queue") && [ -n "$readable" ] && [ "$queue_version" -gt "$readable" ]
}

prepare_return() {  # keeps what a return to the running release needs, before the first change
    local running
    running=$(running_release)
    if [ -z "$running" ] || [ "$running" = "$VENV" ]; then return; fi
    if [ "$running" = "$FORMER_VENV" ]; then adopt_former_version; fi
    if [ -e "$CONFIG" ]; then step cp --preserve=mode,ownership "$CONFIG" "$running/share/ishowtts/config.yaml"; fi
}

return_configuration() {  # return_configuration RELEASE FROM: its configuration again, unless edited since
    # An edited file stays. The default of another release may have keys that this one does not know.
    if [ -e "$1/share/ishowtts/config.yaml" ] && cmp -s "$CONFIG" "$2/share/ishowtts/config/ishowtts.yaml" &&
        ! cmp -s "$CONFIG" "$1/share/ishowtts/config.yaml"; then
        # A full disk, or a kill, must not leave half of it.
        step cp --preserve=mode,ownership "$1/share/ishowtts/config.yaml" "$CONFIG.part"
        step mv -f -T "$CONFIG.part" "$CONFIG"
    fi
}

adopt_former_version() {  # makes the virtual environment of a version before the releases one of them, where it is
    local share=$FORMER_VENV/share/ishowtts unit
    if is_complete "$FORMER_VENV"; then return; fi
    step install -d -m 0755 "$share"
    # Its own units start it. All else that a rollback needs is as in the new release.
    step cp -R "$VENV/share/ishowtts/." "$share/"
    for unit in "${UNIT_FILES[@]}"; do
        if [ -e "$FORMER_UNITS/$unit" ]; then
            step cp --preserve=mode "$FORMER_UNITS/$unit" "$share/systemd/$unit"
        else
            step rm -f "$share/systemd/$unit"
        fi
    done
    [ "$dry_run" = yes ] || write_queue_version "$FORMER_VENV"
    step touch "$FORMER_VENV/.complete"
}

keep_queue() {  # keeps the queue for the release before, if the new one cannot share its file
    local before
    before=$(queue_version_of "$switch_before")
    find_queue
    if [ -z "$queue" ]; then return; fi
    if [ "$set_queue_aside" = yes ] && is_queue_too_new "$VENV"; then
        queue_kept=$queue.aside-$(date -u +%Y%m%dT%H%M%SZ)
        record_switch
        systemd_step stop ishowtts.service
        step on_queue move "$queue" "$queue_kept"
        echo "the queue is set aside: $queue_kept has its lines and settings, for a later version"
    elif [ "$start" = yes ] && [ -n "$before" ] && [ "$(queue_version_of "$VENV")" -gt "$before" ]; then
        queue_kept=$queue.before-${VENV##*/}
        record_switch
        # No line may arrive after the copy.
        systemd_step stop ishowtts.service
        step on_queue copy "$queue" "$queue_kept"
    fi
}

record_switch() {  # notes what to go back to, also after a kill
    if [ "$dry_run" = yes ]; then return; fi
    printf '%s\n' "$switch_before" "$switch_previous" "$queue" "$queue_kept" >"$SWITCH.new"
    mv -f -T "$SWITCH.new" "$SWITCH"
}

switch_release() {  # makes $VENV the current release, and starts it
    switch_before=$(running_release)
    switch_previous=$(readlink "$PREVIOUS") || switch_previous=''
    if [ -n "$switch_before" ]; then record_switch; fi
    switching=yes
    switch_began_s=$(date +%s)
    keep_queue
    if [ -n "$switch_before" ]; then link_to "${switch_before#"$BASE/"}" "$PREVIOUS"; fi
    link_to "${VENV#"$BASE/"}" "$CURRENT"
    link_to current/share/ishowtts/install.sh "$BASE/install.sh"
    if [ "$rollback" = yes ]; then return_configuration "$VENV" "$switch_before"; else update_configuration; fi
    install_command
    install_units_of "$VENV"
    start_services
    step rm -f "$SWITCH"
    switching=''
    if [ "${queue_kept%.before-*}" != "$queue_kept" ]; then step runuser -u ishowtts -- rm -f "$queue_kept"; fi
    step sync -f "$BASE" || true
}

install_units_of() {  # install_units_of RELEASE: installs its units, and removes those that only another release has
    local unit here=$PWD UNIT_FILES=("${UNIT_FILES[@]}")
    for unit in "$RELEASES"/*/share/ishowtts/systemd/*.{service,path}; do
        unit=${unit##*/}
        if [ ! -e "$1/share/ishowtts/systemd/$unit" ] && [ -e "$UNITS/$unit" ]; then
            systemd_step disable --now "$unit" || true
            step rm -f "$UNITS/$unit"
        fi
    done
    # In a dry run the new release is not there; this folder has the same files.
    if [ -d "$1/share/ishowtts" ]; then cd "$1/share/ishowtts"; fi
    mapfile -t UNIT_FILES < <(cd systemd && compgen -G "ishowtts*.service" && compgen -G "ishowtts*.path")
    install_units
    cd "$here"
    # Where earlier versions had their units, these links lead to nothing. systemd follows their names alone.
    for unit in "$FORMER_UNITS"/*.wants/ishowtts*; do
        if [ -L "$unit" ] && [ ! -e "$unit" ] && [ -e "$UNITS/${unit##*/}" ]; then
            step ln -sfn "$UNITS/${unit##*/}" "$unit"
        fi
    done
    systemd_step daemon-reload
}

start_services() {  # enables and starts the services; returns when the daemon is ready
    local unit units=()
    if [ "$start" = no ]; then return; fi
    while read -r unit; do
        # An older version may have fewer units.
        if [ "$dry_run" = yes ] || [ -e "$UNITS/$unit" ] || [ -e "$FORMER_UNITS/$unit" ]; then units+=("$unit"); fi
    done < <(units_to_enable)
    systemd_step enable "${units[@]}"
    systemd_step try-restart ishowtts-gateway.service  # it runs only if the operator has enabled it
    systemd_step restart ishowtts.service
}

go_back() {  # after a switch that failed: makes the release before the current one again
    local failed=$VENV warnings=''
    switching=''
    if [ "$start" = yes ] && [ "$switch_began_s" -gt 0 ] && [ -d /run/systemd/system ]; then
        # With --since, -n of systemd 252 takes the first entries. The last line of a traceback names the error.
        warnings=$(journalctl --quiet --no-pager -o cat -p warning --since "@$switch_began_s" \
            -u ishowtts.service -u ishowtts-gateway.service | tail -n 10)
    fi
    if [ -n "$warnings" ]; then printf 'the last warnings of the services:\n%s\n' "$warnings" >&2; fi
    if [ -z "$switch_before" ]; then return; fi
    echo "going back to the version $(name_of "$switch_before")" >&2
    VENV=$switch_before
    if [ "$start" = yes ] || [ -n "$queue_kept" ]; then systemd_step stop ishowtts.service; fi
    return_queue
    return_configuration "$VENV" "$failed"
    link_to "${VENV#"$BASE/"}" "$CURRENT"
    if [ -n "$switch_previous" ]; then link_to "$switch_previous" "$PREVIOUS"; else step rm -f "$PREVIOUS"; fi
    install_units_of "$VENV"
    start_services
    # The next run removes what failed. Until then its files can be examined.
    if [ -n "$failed" ] && [ "$failed" != "$VENV" ] && [ "$failed" != "$BASE/$switch_previous" ]; then step rm -f "$failed/.complete"; fi
    step rm -f "$SWITCH"
}

return_queue() {  # gives the queue back to the release before
    local aside
    if [ -z "$queue_kept" ]; then return; fi
    if [ ! -e "$queue_kept" ]; then
        if [ -e "$queue_kept.part" ]; then step runuser -u ishowtts -- rm -f "$queue_kept.part"; fi
        return
    fi
    if [ -e "$queue" ] && [ "${queue_kept%.before-*}" != "$queue_kept" ] && ! is_queue_too_new "$VENV"; then
        step runuser -u ishowtts -- rm -f "$queue_kept"
        return
    fi
    if [ -e "$queue" ]; then
        aside=$queue.aside-$(date -u +%Y%m%dT%H%M%SZ)
        step on_queue move "$queue" "$aside"
        echo "$aside has the lines that the other version has accepted; they are not in the queue" >&2
    fi
    step on_queue move "$queue_kept" "$queue"
}

check_links() {  # refuses what a switch could not replace
    local link
    for link in "$CURRENT" "$PREVIOUS" "$BASE/install.sh"; do
        [ -L "$link" ] || [ ! -e "$link" ] || die "$link is not a link, as install.sh makes it; move it away and run this again"
    done
}

finish_interrupted_switch() {  # goes back if an earlier run was killed during its switch
    local noted
    if [ ! -e "$SWITCH" ]; then return; fi
    mapfile -t noted <"$SWITCH"
    switch_before=${noted[0]-} switch_previous=${noted[1]-} queue=${noted[2]-} queue_kept=${noted[3]-}
    echo "an earlier run was interrupted while it switched to another version"
    if is_complete "$switch_before"; then
        VENV=$(release_of "$CURRENT")
        # A former version that does not start must not keep a newer one from being installed.
        (set +e && go_back) || true
    else
        step rm -f "$SWITCH"
    fi
    queue_kept=''  # the next switch must neither return nor remove it
}

check_rollback() {  # sets VENV to the previous release, or refuses in words
    VENV=$(release_of "$PREVIOUS")
    [ -n "$VENV" ] || die "there is no previous version to go back to; $PREVIOUS would name it"
    "$VENV/bin/python" -I -c "import ishowtts" 2>/dev/null ||
        die "the version $(name_of "$VENV") no longer runs on this system: its Python is gone; install another version from a checkout"
    find_queue
    if [ -n "$queue" ] && is_queue_too_new "$VENV" && [ "$set_queue_aside" = no ]; then
        die "$queue has version $queue_version, and $(name_of "$VENV") reads up to $(queue_version_of "$VENV")." \
            "Its lines would be lost to it. With --set-queue-aside the file is kept under another name," \
            "and this version starts with an empty queue and the settings of the configuration."
    fi
    echo "      from $(name_of "$(running_release)") to $(name_of "$VENV")"
}

is_in_use() {  # is_in_use RELEASE: whether a process runs from it, as after --no-start
    grep -Fqsa "$1/bin/" /proc/[0-9]*/cmdline
}

remove_old_releases() {  # removes all releases except the current and the previous one
    local folder current previous
    current=$(release_of "$CURRENT") previous=$(release_of "$PREVIOUS")
    for folder in "$RELEASES"/* "$FORMER_VENV"; do
        if [ ! -d "$folder" ] || [ "$folder" = "$current" ] || [ "$folder" = "$previous" ]; then continue; fi
        if is_in_use "$folder"; then
            echo "kept: $folder, because a process still runs from it"
        else
            # Without the mark, the next run removes what a kill leaves of it.
            step rm -f "$folder/.complete"
            step rm -rf "$folder"
        fi
    done
    remove_unused_packages
}

remove_unused_packages() {  # removes from the cache what no release shares any more; uv fetches it again if it needs it
    local package
    for package in "$BASE"/cache/archive-v*/*; do
        if [ -d "$package" ] && [ -z "$(find "$package" -type f -links +1 -print -quit)" ]; then step rm -rf "$package"; fi
    done
}
