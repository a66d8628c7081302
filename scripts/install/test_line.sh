# shellcheck shell=bash
# Speaks one line at the end of an installation, and says what became of it. install.sh sources this file.

TEST_LINE="iShowTTS is installed and ready."

say_test_line() {  # prints what became of the line; its status is that of `ishowtts say`
    local said status=0 id
    said=$("$CURRENT/bin/ishowtts" say --verbose --wait 15 --config "$CONFIG" "$TEST_LINE" 2>&1) || status=$?
    id=$(sed -n 's/^ishowtts: line \([0-9a-f]*\) goes to .*/\1/p' <<<"$said")
    printf '%s\n' "$said" | sed '/^ishowtts: line [0-9a-f]* goes to /d'
    # Nobody wants to hear it hours later, when quiet hours end.
    if [ "$status" = 3 ] && [ -n "$id" ]; then
        "$CURRENT/bin/ishowtts" cancel --config "$CONFIG" "$id" >/dev/null 2>&1 || true
    fi
    return "$status"
}

speak_test_line() {
    local status=0
    if [ "$start" = no ] || [ "$line" = no ]; then return; fi
    if [ "$dry_run" = no ] && [ ! -d /run/systemd/system ]; then return; fi
    step say_test_line || status=$?
    if [ "$dry_run" = yes ]; then return; fi
    case $status in
        0) echo "If you did not hear it: 'sudo ishowtts devices' lists the sound devices, 'sudo ishowtts doctor' finds faults." ;;
        3) echo "The line was not spoken yet, and is withdrawn; 'sudo ishowtts say Hello' tries again." ;;
        *) echo "The line was not spoken; 'sudo ishowtts doctor' says what is missing. The installation itself is complete." ;;
    esac
}
