# shellcheck shell=bash
# Fetches the weights of F5 that --weights and --fetch name. install.sh sources this file.

fetch_command() {  # prints the arguments of `ishowtts fetch`, one a line
    printf '%s\n' fetch --config "$CONFIG"
    if [ -n "$fetch" ]; then printf '%s\n' --model "$fetch"; fi
    if [ -n "$weights" ]; then printf '%s\n' --from "$weights"; fi
    if [ "$accept_licence" = yes ]; then printf '%s\n' --accept-licence; fi
}

check_weights() {  # refuses what cannot become right during the installation
    if [ -z "$weights$fetch" ]; then return; fi
    [ "$f5" = yes ] || refuse "--weights and --fetch are for F5, which --without-f5 leaves out"
    [ -z "$offline" ] || [ -n "$weights" ] ||
        refuse "--fetch needs a network, which --offline does not use; name a folder with the weights by --weights"
    [ -z "$weights" ] || [ -d "$weights" ] || refuse "--weights $weights is not a folder"
    [ "$accept_licence" = yes ] || [ -t 0 ] ||
        refuse "nobody can be asked about the licence of the weights; --accept-licence accepts it"
}

fetch_weights() {  # fetch_weights ARGUMENT...: the question about the licence goes to the terminal, which the log would hold back
    if [ "$accept_licence" = yes ]; then
        "$VENV/bin/ishowtts" "$@"
    else
        "$VENV/bin/ishowtts" "$@" >&3 2>&4
    fi
}

install_weights() {  # fetches the weights; without them the installation goes on, and the natural voice speaks
    local command
    mapfile -t command < <(fetch_command)
    step fetch_weights "${command[@]}" ||
        echo "the weights were not fetched; fix the error above, then run: sudo ishowtts ${command[*]}"
}
