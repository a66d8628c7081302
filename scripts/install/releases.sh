# shellcheck shell=bash
# Keeps the releases: one folder for each installed version, and the links to the running and the former one.
# install.sh sources this file.
#
#   releases/NAME    a virtual environment, with what a rollback and an uninstall need in share/ishowtts
#   .complete        in a release, written last: a folder without it is what an interrupted run has left
#   current          a link to the release that runs
#   previous         a link to the release before it

BASE=/opt/ishowtts
RELEASES=$BASE/releases
CURRENT=$BASE/current
PREVIOUS=$BASE/previous
# Versions before the releases had this one virtual environment. It becomes a release where it is: a moved one does not run.
FORMER_VENV=$BASE/venv
VENV=$CURRENT
# On the file system of the releases, so that they share their files by hard links: torch and CUDA have gigabytes.
export UV_CACHE_DIR=${UV_CACHE_DIR:-$BASE/cache} PIP_CACHE_DIR=${PIP_CACHE_DIR:-$BASE/cache/pip}

is_complete() {  # is_complete RELEASE: whether its installation has ended
    [ -e "$1/.complete" ]
}

release_of() {  # release_of LINK: prints the folder of the release that `current` or `previous` names, if there is one
    local folder
    if folder=$(readlink -e "$1") && is_complete "$folder"; then echo "$folder"; fi
}

running_release() {  # prints the folder of the installed version, if there is one
    local folder
    folder=$(release_of "$CURRENT")
    if [ -n "$folder" ]; then
        echo "$folder"
    elif [ -x "$FORMER_VENV/bin/ishowtts" ]; then
        echo "$FORMER_VENV"
    fi
}

has_package() {  # has_package RELEASE NAME: whether a release has a Python package; RELEASE may be empty
    [ -n "$1" ] && compgen -G "$1/lib/python3.*/site-packages/$2" >/dev/null
}

new_release_name() {  # prints <version>-<UTC time>, which no release has yet
    local version name number=1
    version=$(program_version)
    name=${version:?}-$(date -u +%Y%m%dT%H%M%SZ)
    # A board without a clock can boot at the same time twice.
    if [ -e "$RELEASES/$name" ]; then
        while [ -e "$RELEASES/$name.$number" ]; do number=$((number + 1)); done
        name=$name.$number
    fi
    echo "$name"
}

remove_interrupted() {  # removes what interrupted runs have left
    local folder
    for folder in "$RELEASES"/*; do
        if [ -d "$folder" ] && ! is_complete "$folder"; then step rm -rf "$folder"; fi
    done
}

new_release() {  # makes the folder of the new release, and sets VENV to it
    step install -d -m 0755 "$BASE" "$RELEASES" "$BASE/cache"
    VENV=$RELEASES/$(new_release_name)
    step install -d -m 0755 "$VENV"
}

install_share() {  # copies what a rollback and an uninstall need without a checkout
    local share=$VENV/share/ishowtts
    step install -d -m 0755 "$share/scripts"
    step cp -R install.sh systemd config "$share/"
    step cp -R scripts/common.sh scripts/install "$share/scripts/"
    # The checkout may be closed to other users; the service runs a program of it.
    step chmod -R u=rwX,go=rX "$share"
}

write_queue_version() {  # write_queue_version RELEASE: notes the newest version of the queue's file that it can read
    "$1/bin/python" -I -c "from ishowtts.inbox.migrations import VERSION; print(VERSION)" \
        >"$1/share/ishowtts/queue-version"
}

complete_release() {  # marks the new release as complete
    [ "$dry_run" = yes ] || write_queue_version "$VENV"
    step rm -f "$VENV/.lock"  # uv leaves it open to every user
    # After a power cut the mark must not be there without the files.
    step sync -f "$VENV"
    step touch "$VENV/.complete"
}

link_to() {  # link_to TARGET LINK: makes or changes a link at once; a link that is removed first can stay away
    step ln -sfn "$1" "$2.new"
    step mv -f -T "$2.new" "$2"
}
