"""A root folder as a machine for install.sh, with a stand-in for each program that changes a system."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    "install.sh",
    "scripts/common.sh",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "scripts/install").iterdir()),
]

SYSTEM_PATH = re.compile(r"(?<![\w$.*}])/(?:boot|dev|etc|home|lib|opt|root|run|srv|sys|usr|var)/")
UNCHANGED = ("/dev/fd", "/dev/null", "/dev/urandom", "/usr/bin/env", "/usr/bin/python3", "/usr/sbin/nologin")

# One file under many names. It notes each call in $MACHINE/calls, and changes nothing except in $MACHINE.
STAND_IN = r"""#!/bin/bash
shopt -s extglob
name=${0##*/}
place() { mkdir -p "${1%/*}" && cp "$MACHINE/programs/stand-in" "$1"; }
case "$name $1" in
    # These only ask, or act on files that the tests look at.
    "runuser "*) [[ $* == *queue_file.py* ]] || echo "$name $*" >>"$MACHINE/calls" ;;
    "id "* | "getent "* | "df "* | "dpkg --"[ap]* | "dpkg-query "* | "systemctl is-"* | "systemctl --version") ;;
    "install "* | "chown "* | "python3 -c" | "sync "* | "python -I") ;;
    *) echo "$name $*" >>"$MACHINE/calls" ;;
esac
[ ! -e "$MACHINE/fails/$name" ] && [ ! -e "$MACHINE/fails/$name $1" ] || exit 1
[ "$name $1" != "systemctl is-enabled" ] || [ ! -e "$MACHINE/fails/disabled $3" ] || exit 1
case $name in
    id) if [ "$1" = -u ]; then cat "$MACHINE/uid"; else [ -e "$MACHINE/users/$1" ]; fi ;;
    getent) grep -qx "$2" "$MACHINE/groups" ;;
    dpkg-query) if grep -qx "${!#}" "$MACHINE/packages"; then echo -n installed; else exit 1; fi ;;
    systemd-sysusers) for user in $(sed -n 's/^u \([^ ]*\) .*/\1/p' "$1"); do touch "$MACHINE/users/$user"; done ;;
    systemd-tmpfiles) exec /usr/bin/systemd-tmpfiles --root="$MACHINE" "$@" ;;
    df)
        if [ "$1" != -Pm ]; then exec /usr/bin/df "$@"; fi
        printf 'Filesystem\n/dev/root 0 0 %s\n' "$(cat "$MACHINE/free_mb")"
        ;;
    dpkg)
        case $* in
            --audit) cat "$MACHINE/interrupted" 2>/dev/null ;;
            --print-architecture) echo amd64 ;;
            *--configure*) rm -f "$MACHINE/interrupted" ;;
        esac
        ;;
    systemd-run)
        if [ "${!#}" = true ]; then exit 0; fi
        cat "$MACHINE/gpu"
        exit "$(cat "$MACHINE/gpu-status")"
        ;;
    userdel) rm "$MACHINE/users/$1" ;;
    journalctl)  # with --since, -n of systemd 252 prints the first entries
        case "$*" in *" -n "*) seq -f "entry %g" 10 ;; *) seq -f "entry %g" 12 ;; esac
        ;;
    systemctl)
        if [ "$1" = --version ]; then echo "systemd $(cat "$MACHINE/systemd") (its build)"; fi
        [ "$1" != restart ] || [ ! -e "$MACHINE/at-restart" ] || . "$MACHINE/at-restart"
        # As ExecStopPost of the clocks does, which runs before the program goes.
        if [ "$1 $3" = "disable ishowtts-clocks.service" ]; then
            "$MACHINE/opt/ishowtts/current/bin/ishowtts" clocks restore
        fi
        ;;
    python3)
        case "$1 $2" in
            "-m venv") place "$3/bin/python" ;;
            "-c import ctypes,"*) [ ! -e "$MACHINE/fails/library" ] ;;
            "-c import sys;"*)
                "$PYTHON_HERE" -ISc "import sys; sys.version_info = $(cat "$MACHINE/version"); exec(sys.argv[1])" "$2"
                exit
                ;;
        esac
        ;;
    python)
        case "$1 $2 $3" in
            "-m pip "*) place "${0%/*}/uv" ;;
            *queue_file.py* | *config_file.py*) exec "$PYTHON_HERE" "$@" ;;
            "-I -c from ishowtts.inbox.migrations "*) cat "$MACHINE/queue-version" ;;
        esac
        ;;
    runuser) if [[ $* == *queue_file.py* ]] || [ "$4" = rm ]; then exec "${@:4}"; fi ;;
    uv)
        if [[ $* == *natural.txt ]] && [ -e "$MACHINE/fails/natural" ]; then exit 1; fi
        if [[ $* == *"--reinstall-package ishowtts"* ]]; then place "${0%/*}/ishowtts"; fi
        ;;
    install)
        words=()
        for word in "$@"; do
            case $before in
                -o) word=${word/@(ishowtts|mosquitto)/nobody} ;;
                -g) word=${word/@(ishowtts|mosquitto)/nogroup} ;;
            esac
            words+=("$word")
            before=$word
        done
        exec /usr/bin/install "${words[@]}"
        ;;
    chown) exec /usr/bin/chown "${1/ishowtts:ishowtts/nobody:nogroup}" "${@:2}" ;;
esac
"""
# Before step number $HOOK_AT, or each step, it does what $HOOK says: kill and fail need no explanation; snapshot copies
# what a kill would leave.
STEP_HOOK = r"""
eval "real_$(declare -f step)"
hook_number=0
step() {
    hook_number=$((hook_number + 1))
    case ${HOOK-}-$hook_number in
        kill-"${HOOK_AT-}") kill -KILL $$ ;;
        fail-"${HOOK_AT-}") return 1 ;;
        snapshot-*)
            mkdir -p "$MACHINE/snapshots/$hook_number"
            (cd "$MACHINE" && cp -a --parents etc opt usr "snapshots/$hook_number")
            ;;
    esac
    real_step "$@"
}
"""
STATE = ["etc", "fails", "opt", "run", "usr", "var"]
SHELL = """
set -euo pipefail
dry_run=no start=yes bench=no purge=no rollback=no f5=yes offline='' lock=linux transcription=no arguments=()
broker=yes weights='' fetch='' accept_licence=yes line=yes
for file in scripts/common.sh scripts/install/*.sh; do . "$file"; done
"""
PROGRAMS = [
    "apt-get", "chown", "df", "dpkg", "dpkg-query", "getent", "id", "install", "journalctl", "python3", "runuser",
    "sudo", "sync", "systemctl", "systemd-run", "systemd-sysusers", "systemd-tmpfiles", "userdel",
]  # fmt: skip


class InstallMachine:
    """A root folder. install.sh finds its paths below it, and a stand-in for each program that changes a system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checkout = root / "checkout"
        self._calls = root / "calls"
        for folder in ("checkout/scripts/install", "programs", "users", "fails", "etc/systemd/system",
                       "run/systemd/system", "usr/local/bin", "usr/local/lib", "opt", "kept", "var/lib",
                       "var/cache", "var/log"):  # fmt: skip
            (root / folder).mkdir(parents=True)
        # systemd-tmpfiles asks these for the user of the service.
        (root / "etc/passwd").write_text("root:x:0:0::/:\nishowtts:x:65534:65534::/:\n")
        (root / "etc/group").write_text("root:x:0:\nishowtts:x:65534:\n")
        for name in SCRIPTS:
            self._copy(name)
        for name in ("systemd", "config"):
            shutil.copytree(ROOT / name, self._checkout / name)
        for name in ("daemon", "pyproject.toml"):
            (self._checkout / name).symlink_to(ROOT / name)
        stand_in = root / "programs/stand-in"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        for name in PROGRAMS:
            (root / "programs" / name).symlink_to("stand-in")
        self._calls.touch()
        (root / "uid").write_text("0\n")
        (root / "queue-version").write_text("6\n")
        (root / "version").write_text("(3, 10, 12)")
        (root / "systemd").write_text("252\n")
        (root / "free_mb").write_text("20000\n")
        (root / "groups").write_text("audio\nvideo\nrender\n")
        (root / "packages").write_text("".join(f"{name}\n" for name in self._needed_packages()))
        self.command = self.path("/usr/local/bin/ishowtts")
        self.config = self.path("/etc/ishowtts/config.yaml")
        self.units = self.path("/usr/local/lib/systemd/system")
        self.former_units = self.path("/etc/systemd/system")
        self.drop_ins = self.former_units / "ishowtts.service.d"
        self.gateway_drop_ins = self.former_units / "ishowtts-gateway.service.d"
        self.data = self.path("/var/lib/ishowtts")
        self.releases = self.path("/opt/ishowtts/releases")
        self.current = self.path("/opt/ishowtts/current")
        self.previous = self.path("/opt/ishowtts/previous")
        self._log = self.path("/var/log/ishowtts/install.log")
        self._last_log = root / "last-log"

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _copy(self, name: str) -> None:
        text = (ROOT / name).read_text()
        moved = SYSTEM_PATH.sub(lambda found: f"{self.root}{found.group()}", text)
        for path in UNCHANGED:
            moved = moved.replace(f"{self.root}{path}", path)
        copy = self._checkout / name
        copy.write_text(moved + (STEP_HOOK if name.endswith("/steps.sh") else ""))
        copy.chmod(0o755)

    def _needed_packages(self) -> list[str]:
        text = (ROOT / "scripts/install/parts.sh").read_text()
        return [name for found in re.findall(r"names\+?=\((.*?)\)", text) for name in found.split()]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/programs:/usr/bin:/bin",
            "MACHINE": str(self.root),
            "PYTHON": str(self.root / "programs/python3"),
            "PYTHON_HERE": sys.executable,
        }

    def run(self, *arguments: str, program: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run install.sh, or a copy of it; its output names the paths as if the root folder were /."""
        self._calls.write_text("")
        self._last_log.unlink(missing_ok=True)
        if self._log.exists():
            self._last_log.hardlink_to(self._log)  # a purge removes the log
        done = subprocess.run(
            [program or self._checkout / "install.sh", *arguments],
            env=self._environment() | environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if not self._last_log.exists() and self._log.exists():
            self._last_log.hardlink_to(self._log)
        done.stdout, done.stderr = (text.replace(str(self.root), "") for text in (done.stdout, done.stderr))
        return done

    def release(self) -> str:
        """Folder of the release that `current` names, as the machine sees it."""
        return str(self.current.resolve(strict=True)).removeprefix(str(self.root))

    def install(self, *arguments: str, program: Path | None = None, **environment: str) -> str:
        done = self.run(*arguments, program=program, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def keep_state(self) -> None:
        """Keep a copy of the folders that installations change."""
        subprocess.run(["cp", "-a", "--parents", *STATE, self.root / "kept"], cwd=self.root, check=True)

    def restore_state(self) -> None:
        """Make the folders as they were at `keep_state`, and no program fails."""
        for name in STATE:
            shutil.rmtree(self.root / name)
        subprocess.run(["cp", "-a", *(self.root / "kept" / name for name in STATE), self.root], check=True)
        (self.root / "at-restart").unlink(missing_ok=True)
        (self.root / "queue-version").write_text("6\n")

    def units_now(self) -> dict[str, str]:
        """Texts of our units, by name."""
        return {path.name: path.read_text() for path in self.units.iterdir()}

    def log(self) -> list[str]:
        """Lines of the log of the last run, without their times; paths are as the machine sees them."""
        text = self._last_log.read_text().replace(str(self.root), "")
        last = re.split(r"^--- install\.sh.*\n", text, flags=re.MULTILINE)[-1]
        return re.sub(r"^\d{4}-\S+Z ", "", last, flags=re.MULTILINE).splitlines()

    def shell(self, program: str) -> subprocess.CompletedProcess[str]:
        """Call functions of install.sh alone, on a machine that has a release. A whole run costs 0.6 s of CPU."""
        programs = self.path("/opt/ishowtts/releases/0/bin")
        if not self.current.exists():
            programs.mkdir(parents=True)
            for name in ("python", "ishowtts"):
                (programs / name).symlink_to(self.root / "programs/stand-in")
            self.current.symlink_to("releases/0")
        self._calls.write_text("")
        done = subprocess.run(
            ["bash", "-c", SHELL + program], cwd=self._checkout, env=self._environment(),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        done.stdout, done.stderr = (text.replace(str(self.root), "") for text in (done.stdout, done.stderr))
        return done

    def call(self, program: str) -> str:
        """As `shell`. Returns the output, and fails if the functions fail."""
        done = self.shell(program)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def fail(self, program: str) -> None:
        """From now on PROGRAM ends with 1; it may name the first argument too, as in `systemctl disable`."""
        (self.root / "fails" / program).touch()

    @property
    def calls(self) -> list[str]:
        """What the last run asked of the system, in order."""
        return self._calls.read_text().replace(str(self.root), "").splitlines()

    def called(self, program: str) -> list[str]:
        return [call for call in self.calls if call.startswith(f"{program} ")]

    def tree(self) -> dict[str, tuple[object, ...]]:
        """Everything below the root folder except the notes of calls, with owner, mode and content."""
        found: dict[str, tuple[object, ...]] = {}
        for path in set(self.root.rglob("*")) - {self._calls, self.root / "uid", self._last_log}:
            state = path.lstat()
            content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[str(path)] = (state.st_uid, state.st_gid, state.st_mode, content)
        return found

    def owner(self, path: str) -> tuple[int, int, str]:
        found = self.path(path).lstat()
        return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)
