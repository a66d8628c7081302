# shellcheck shell=bash
# Prints and runs the steps of install.sh, which sources this file.

shown() {  # shown COMMAND...: prints a command as it can be typed; for a function, the command that does its work
    local name=$1 uv=$VENV/bin/uv
    shift
    case $name in
        apt_install) echo "apt-get install -y --no-install-recommends $*" ;;
        make_venv) echo "$2 -m venv $1 && $1/bin/python -m pip install --require-hashes -r $REQUIREMENTS/uv.txt" ;;
        install_lock)
            echo "$uv pip install --python $1/bin/python --no-deps --require-hashes${UV_SOURCE[*]:+ ${UV_SOURCE[*]}}" \
                "-r $REQUIREMENTS/$2.txt"
            ;;
        write_lines)
            printf "printf '%%s\\\\n'"
            printf " '%s'" "${@:2}"
            echo " >$1"
            ;;
        make_password) echo "(umask 077 && head -c 18 /dev/urandom | base64 >$1)" ;;
        write_secret) echo "(umask 077 && echo $2 >$1)" ;;
        add_broker_user) echo "mosquitto_passwd $BROKER_PASSWD $1  # the password in $2" ;;
        fetch_weights) shown "$VENV/bin/ishowtts" "$@" ;;
        say_test_line) shown "$CURRENT/bin/ishowtts" say "$TEST_LINE" ;;
        install_natural_voice) shown install_lock "$1" natural ;;
        on_queue) shown runuser -u ishowtts -- "$VENV/bin/python" "$VENV/$QUEUE_PROGRAM" "$@" ;;
        install_cudss) echo "apt-get install -y --no-install-recommends cudss" ;;
        try_gpu) echo "$1/bin/python -m ishowtts.engines.f5.gpu_check" ;;
        prepare_apt) echo "mkdir -p $APT_WORK && ln -s $offline/debs $APT_WORK/debs" ;;
        install_nvidia_torch)
            echo "$uv pip install --python $1/bin/python --no-deps $(torch_packages VERSION "$3") triton (from $2)"
            ;;
        *)
            local word words=("$name")
            for word in "$@"; do
                case $word in "" | *[!A-Za-z0-9_./:=,@%+-]*) word="'$word'" ;; esac
                words+=("$word")
            done
            echo "${words[*]}"
            ;;
    esac
}

step() {  # step COMMAND...: prints the command, and runs it unless this is a dry run
    echo "+ $(shown "$@")"
    if [ "$dry_run" = yes ]; then return; fi
    # A service that apt starts must not hold the lock.
    if [ "$1" = apt_install ]; then "$@" 7>&- 9>&-; else "$@" 7>&-; fi
}

systemd_step() {  # systemd_step ARGUMENT...: calls systemctl if systemd runs, which it does not in a chroot
    if [ "$dry_run" = yes ] || [ -d /run/systemd/system ]; then step systemctl "$@"; fi
}
