# shellcheck shell=bash
# Runs the parts of install.sh one after the other, with a log, elapsed times and a last sentence if one fails.
# install.sh sources this file.
#
# The log has every step and all output, with the time of each line. The terminal shows the parts and the messages.
# File descriptors: 3 and 4 are the terminal, 5 is the log, 7 ends the progress, 9 is the lock.

LOG=/var/log/ishowtts/install.log
LOG_BYTES=5000000  # a longer log is put aside when the next run begins
LOCK=/run/ishowtts-install.lock
LOCK_WAIT_S=${LOCK_WAIT_S:-60}
parts=() titles=()
part_number=0 progress_pid='' log_pids=()

clean_environment() {  # without what leads Python, pip, uv and bash elsewhere; with root's programs, which `su` leaves out
    unset PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONUSERBASE \
        PYTHONPLATLIBDIR PYTHONWARNINGS VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_CONSTRAINT \
        PIP_REQUIREMENT PIP_DRY_RUN PIP_REQUIRE_VIRTUALENV UV_PYTHON UV_SYSTEM_PYTHON UV_TARGET UV_PREFIX UV_CONSTRAINT \
        UV_OVERRIDE UV_PROJECT_ENVIRONMENT UV_DRY_RUN CDPATH GREP_OPTIONS POSIXLY_CORRECT
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
}

part() {  # part FUNCTION TITLE: adds a part, which `run_parts` runs
    parts+=("$1")
    titles+=("$2")
}

run_parts() {
    local function began_s
    for function in "${parts[@]}"; do
        part_number=$((part_number + 1))
        began_s=$SECONDS
        echo "[$part_number/${#parts[@]}] ${titles[part_number - 1]}"
        start_progress "$function"
        "$function"
        stop_progress
        [ $((SECONDS - began_s)) -lt 10 ] || echo "      done after $((SECONDS - began_s)) s"
    done
}

used_mb() {  # prints how many megabytes the disk of the releases holds
    local folder=$BASE used=''
    if [ ! -d "$folder" ]; then folder=${BASE%/*}; fi
    { read -r _ && read -r _ _ used _; } < <(df -Pm "$folder" 2>/dev/null) || true
    echo "${used:-0}"
}

start_progress() {  # start_progress FUNCTION: of a part
    if [ "$dry_run" = yes ]; then return; fi
    # It ends with the other end of this pipe, and so with a run that is killed.
    exec 7> >(report_progress "$1" 2>/dev/null)
    progress_pid=$!
}

stop_progress() {
    if [ -z "$progress_pid" ]; then return; fi
    exec 7>&-
    kill "$progress_pid" 2>/dev/null || true
    progress_pid=''
}

report_progress() {  # report_progress FUNCTION: every 10 s a line with the time, and the megabytes of a part that fetches
    local seconds=0 status fetches=no before_mb=0 added_mb=0
    exec 9>&-
    case $1 in install_packages | build_release | install_weights) fetches=yes before_mb=$(used_mb) ;; esac
    while true; do
        # `read` waits without a process, which would outlive this one. Above 128 the time is over; 1 is the end.
        read -rt 10 && status=0 || status=$?
        if [ "$status" -le 128 ]; then return; fi
        seconds=$((seconds + 10))
        if [ "$fetches" = yes ]; then added_mb=$(($(used_mb) - before_mb)); fi
        if [ "$added_mb" -gt 0 ]; then echo "      $seconds s, $added_mb MB so far"; else echo "      $seconds s so far"; fi
    done
}

take_lock() {  # waits for another install.sh, and then refuses to run beside it; what a killed one has started counts, too
    local holder
    # Whoever can open the file can hold its lock.
    umask 077
    exec 9<>"$LOCK"
    umask 022
    if ! flock --nonblock 9; then
        holder="another install.sh (process $(cat "$LOCK")), or a program that it has started,"
        echo "$holder still runs; waiting for up to $LOCK_WAIT_S s"
        flock --timeout "$LOCK_WAIT_S" 9 || die "$holder still runs; try again when it has ended"
    fi
    echo "$$" >"$LOCK"
}

open_log() {
    local folder=${LOG%/*}
    # On Ubuntu the group syslog may write in /var/log.
    [ ! -L "$folder" ] || die "$folder is a link; remove it and run this again"
    install -d -m 0700 -o root -g root "$folder"
    # From here on only root can change what is in the folder.
    [ ! -L "$LOG" ] || die "$LOG is a link; remove it and run this again"
    if [ "$(stat -c %s "$LOG" 2>/dev/null || echo 0)" -gt "$LOG_BYTES" ]; then mv -f "$LOG" "$LOG.1"; fi
    (umask 077 && : >>"$LOG")
    exec 3>&1 4>&2 5>>"$LOG"
    # One copier for both keeps the order of the lines.
    if [ /dev/fd/1 -ef /dev/fd/2 ]; then
        exec 1> >(copy_to_log 3)
        log_pids=($!)
        exec 2>&1
    else
        exec 1> >(copy_to_log 3)
        log_pids=($!)
        exec 2> >(copy_to_log 4)
        log_pids+=($!)
    fi
}

copy_to_log() {  # copy_to_log FD: copies each line to the log, with its time, and to FD if it is not a step
    local line
    local -x TZ=UTC0
    # It ends with the last writer, and has to see the last sentence of a run that is interrupted.
    trap '' HUP INT TERM PIPE
    exec 9>&-
    while IFS= read -r line || [ -n "$line" ]; do
        # The disk may be full, and the terminal gone. Without this process, the next message would end install.sh.
        printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "$line" >&5 || true
        case $line in "+ "*) ;; *) printf '%s\n' "$line" >&"$1" || true ;; esac
    done 2>/dev/null
}

close_log() {  # waits until every line is in the log and on the terminal
    local pid tries=0
    exec 1>&3 2>&4
    for pid in "${log_pids[@]}"; do
        # A service that apt has started may hold the other end for ever.
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 40 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
    done
    log_pids=()
}

begin() {  # begins a run that changes something: the lock, the log, and what happens at its end
    if [ "$dry_run" = yes ]; then return; fi
    take_lock
    open_log
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '%s\n' "--- install.sh ${arguments[*]} from $PWD" >&5
}

finish() {  # runs at the end of each run, also of one that fails or is interrupted
    local status=$?
    set +e
    trap - EXIT
    trap '' HUP INT TERM
    stop_progress
    if [ "$status" != 0 ]; then
        if [ -n "$switching" ]; then
            (go_back)
        else
            # A disk that is full must not stay full. The cache keeps what was fetched.
            remove_interrupted
        fi
        explain_failure "$status" >&2
    fi
    close_log
    exit "$status"
}

explain_failure() {  # explain_failure STATUS: says what failed, what runs now, and what to do
    local running
    if [ "$uninstall" = yes ]; then
        echo "Not all is removed. Fix what the messages above name, then run it again. $LOG has every step."
        return
    fi
    running=$(running_release)
    if [ "$part_number" -gt 0 ]; then
        echo "install.sh failed in part $part_number of ${#parts[@]} (${titles[part_number - 1]}), with status $1."
    fi
    if [ -z "$running" ]; then
        echo "Nothing is installed yet."
    elif [ -d /run/systemd/system ] && systemctl is-active --quiet ishowtts.service; then
        echo "The version $(name_of "$running") still runs."
    else
        echo "The version $(name_of "$running") is installed; 'systemctl status ishowtts' shows why it does not run."
    fi
    echo "Fix what the messages above name, then run install.sh again. $LOG has every step."
}
