# shellcheck shell=bash
# Updates the files that the operator may edit. install.sh sources this file.

is_shipped() {  # is_shipped FILE NAME: whether a file is NAME as some installed version ships it, so that nobody edited it
    local shipped
    for shipped in "$2" "$RELEASES"/*/share/ishowtts/"$2" "$FORMER_VENV/share/ishowtts/$2"; do
        if cmp -s "$1" "$shipped"; then return 0; fi
    done
    return 1
}

# update_file NAME FILE MODE OWNER: installs NAME as FILE. A file that the operator edited stays, and gets ours beside it.
# Sets `updated` to yes if it changed FILE.
update_file() {
    local name=$1 file=$2 mode=$3 owner=$4
    updated=no
    if cmp -s "$name" "$file"; then
        if [ -e "$file.new" ] && is_shipped "$file.new" "$name"; then step rm "$file.new"; fi
        return
    fi
    if [ -e "$file" ] && ! is_shipped "$file" "$name"; then
        if ! cmp -s "$name" "$file.new"; then
            step install -m "$mode" -o "$owner" -g "$owner" "$name" "$file.new"
            echo "kept: $file, which was edited; ours is beside it as $file.new"
        fi
        return
    fi
    # In its folder first: a power cut must not leave half of it.
    step install -m "$mode" -o "$owner" -g "$owner" "$name" "$file.new"
    step mv -f -T "$file.new" "$file"
    updated=yes
}

make_password() {  # make_password FILE: 144 random bits as 24 characters
    local password
    password=$(head -c 18 /dev/urandom | base64 | tr '+/' '-_')
    [ "${#password}" = 24 ] || die "no random password could be made for $1"
    write_secret "$1" "$password"
}

write_secret() {  # write_secret FILE TEXT: only root can read the file
    # As if never begun, if it is interrupted.
    (umask 077 && printf '%s\n' "$2" >"$1.new") && mv -f -T "$1.new" "$1"
}
