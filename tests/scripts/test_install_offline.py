"""install.sh --offline: what it refuses, and that apt and uv take packages from the bundle alone."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.install_machine import ROOT
from support.install_parts import PARTS, parts

UV = Path(sys.executable).parent / "uv"
NOWHERE = "http://127.0.0.1:9/simple"
CHECK = "offline=$BUNDLE python=python3 bench=no transcription=no f5=$F5; check_bundle"


def wheel(folder: Path, name: str, version: str) -> Path:
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def sums(bundle: Path) -> None:
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(bundle)}\n" for path in files)
    (bundle / "SHA256SUMS").write_text("".join(lines))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for this machine, with one small wheel. There is a space in its path."""
    bundle = tmp_path / "a bundle"
    for folder in ("wheels", "locks", "debs", "scripts"):
        (bundle / folder).mkdir(parents=True)
    for name in ("install.sh", "scripts/common.sh"):
        shutil.copy(ROOT / name, bundle / name)
    for name in ("scripts/install", "systemd", "config"):
        shutil.copytree(ROOT / name, bundle / name)
    made = wheel(bundle / "wheels", "small", "1.2")
    lock = f"small==1.2 --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"
    (bundle / "locks/core.txt").write_text(lock)
    values = parts("python=python3; for key in os architecture python l4t; do echo $key=$(machine_value $key); done")
    (bundle / "manifest").write_text(f"format=1\nversion=0.1.0\n{values.stdout}f5=no\ntranscription=no\nbench=no\n")
    sums(bundle)
    return bundle


def check(bundle: Path, f5: str = "no") -> subprocess.CompletedProcess[str]:
    return parts(CHECK, BUNDLE=str(bundle), F5=f5)


def test_a_bundle_for_this_machine_is_taken(bundle: Path) -> None:
    done = check(bundle)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bundle_for_another_machine_is_refused(bundle: Path) -> None:
    manifest = (bundle / "manifest").read_text()
    for key, value, words in (
        ("os", "debian-10", "was made for the operating system debian-10, and this machine has "),
        ("architecture", "riscv64", "was made for the architecture riscv64, and this machine has "),
        ("python", "3.9", "was made for Python 3.9, and this machine has "),
        ("l4t", "36", "was made for L4T 36, and this machine has none"),
        ("version", "../../../etc/cron.d/x", "is damaged: its manifest has no version"),
        ("format", "2", "has another format; use its own installer: sudo bash "),
    ):
        (bundle / "manifest").write_text(re.sub(f"^{key}=.*", f"{key}={value}", manifest, flags=re.MULTILINE))
        done = check(bundle)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_damaged_bundle_is_refused_with_the_name_of_the_file(bundle: Path) -> None:
    (bundle / "locks/core.txt").write_text("small==1.3\n")
    done = check(bundle)
    assert done.returncode == 1
    assert "locks/core.txt: FAILED" in done.stderr
    assert "is damaged: copy it again" in done.stderr
    (bundle / "SHA256SUMS").unlink()
    assert "is damaged: copy it again" in check(bundle).stderr


def test_a_bundle_of_another_version_is_refused_with_its_own_installer(bundle: Path) -> None:
    with (bundle / "systemd/ishowtts.service").open("a") as unit:
        unit.write("# another version\n")
    sums(bundle)
    done = check(bundle)
    assert done.returncode == 1
    assert f"use its own installer: sudo bash {bundle}/install.sh --offline {bundle}" in done.stderr


def test_a_part_that_is_wanted_must_be_there(bundle: Path) -> None:
    assert "has no F5: make it without --without-f5, or install with --without-f5" in check(bundle, f5="yes").stderr


def test_a_bundle_without_f5_decides_for_a_new_machine_and_not_for_one_with_f5(bundle: Path, tmp_path: Path) -> None:
    script = """
    has_package() { [ -n "$INSTALLED" ]; }
    offline=$BUNDLE f5=$F5
    choose_parts_of_bundle
    echo "f5 is $f5"
    """

    def chosen(f5: str, installed: str) -> str:
        done = parts(script, BUNDLE=str(bundle), F5=f5, INSTALLED=installed)
        return (done.stdout + done.stderr).splitlines()[-1]

    assert chosen("", "") == "f5 is no"
    assert "has no F5, which is installed here: make one with F5, or leave F5 out" in chosen("", "torch")
    assert chosen("no", "torch") == "f5 is no"
    refused = parts(script, BUNDLE=str(tmp_path), F5="", INSTALLED="")
    assert f"{tmp_path} is not a bundle: it has no manifest; scripts/bundle makes one" in refused.stderr


def test_uv_takes_the_wheels_of_the_bundle_whatever_indexes_the_operator_has(bundle: Path, tmp_path: Path) -> None:
    if not UV.exists():
        pytest.skip("uv is not installed beside this Python")
    (tmp_path / "uv.toml").write_text(f'index-url = "{NOWHERE}"\n')
    script = """
    offline=$BUNDLE
    use_bundle
    "$UV" venv --quiet --python "$HERE" "$VENV"
    ln -s "$UV" "$VENV/bin/uv"
    install_lock "$VENV" core
    "$VENV/bin/python" -c "import small; print(small.VERSION)"
    """
    done = parts(
        f"VENV={tmp_path}/venv\n{script}", BUNDLE=str(bundle), UV=str(UV), HERE=sys.executable,
        UV_CONFIG_FILE=str(tmp_path / "uv.toml"), UV_INDEX_URL=NOWHERE, UV_CACHE_DIR=str(tmp_path / "cache"),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.2\n", "")


def test_apt_takes_the_packages_of_the_bundle_alone(bundle: Path, tmp_path: Path) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("apt-get is not installed, or this is not root")
    for name, depends in (("ishowtts-small", "Depends: ishowtts-smaller\n"), ("ishowtts-smaller", "")):
        control = tmp_path / name / "DEBIAN/control"
        control.parent.mkdir(parents=True)
        control.write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\n{depends}Description: small\n"
        )
        subprocess.run(
            ["dpkg-deb", "--build", str(control.parent.parent), str(bundle / "debs")], check=True, capture_output=True
        )
    script = f"""
    offline=$BUNDLE APT_WORK={tmp_path}/apt
    index_debs "$BUNDLE/debs"
    prepare_apt
    use_bundle
    apt_get update -qq
    apt_get install --simulate -qq ishowtts-small | sed 's/ (.*//'
    apt_get install --simulate -qq cowsay || echo "no cowsay"
    """
    done = parts(script, BUNDLE=str(bundle))
    assert done.stdout.splitlines() == [
        "Inst ishowtts-smaller", "Inst ishowtts-small", "Conf ishowtts-smaller", "Conf ishowtts-small", "no cowsay"
    ]  # fmt: skip
    assert "Unable to locate package cowsay" in done.stderr


LOCK = """
eval "$(declare -f apt_lock_holder | sed "s|/var/lib/dpkg/lock-frontend|$HELD|")"
as_root() { echo "$*"; }
"""


def test_apt_waits_for_whoever_holds_its_lock_and_says_for_whom(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            ["/bin/bash", "-c", f"{PARTS}{LOCK}apt_get update"],
            env={"PATH": os.environ["PATH"], "ROOT": str(ROOT), "HELD": str(tmp_path / "lock")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stderr
        line = waiting.stderr.readline()
        fcntl.lockf(lock, fcntl.LOCK_UN)
        out, err = waiting.communicate(timeout=60)
    assert f"(process {os.getpid()}), which installs packages: 0 s of at most 1800 s" in line
    assert (waiting.returncode, err) == (0, "")
    assert out.startswith("env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get update")


def test_apt_does_not_wait_for_ever(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        done = parts(f"{LOCK}apt_get update", HELD=str(tmp_path / "lock"), APT_WAIT_S="0")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"(process {os.getpid()}) has held the lock of apt for 0 s; run this again when it has ended" in done.stderr


APT = """
missing_packages() { echo espeak-ng; }
apt_lock_holder() { return 1; }
dpkg() { if [ "$1" = --audit ]; then echo "$AUDIT"; fi; }
as_root() { case $* in *"$FAILS"*) return 100 ;; *) echo "$*" | sed 's/.*C.UTF-8 //; s/ -o .*//' ;; esac; }
apt_install espeak-ng
"""


@pytest.mark.parametrize(
    ("audit", "fails", "steps", "words"),
    [
        ("", "nothing", ["apt-get update -qq", "apt-get install -y -qq --no-install-recommends espeak-ng"], ""),
        (
            "", "update", ["apt-get install -y -qq --no-install-recommends espeak-ng"],
            "apt-get update failed; goes on with the lists of packages that are here",
        ),
        ("", "apt-get install", ["apt-get update -qq"], "apt could not install espeak-ng: see its message above;"),
        (
            "broken", "nothing",
            ["env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a",
             "apt-get update -qq", "apt-get install -y -qq --no-install-recommends espeak-ng"],
            "an earlier run of dpkg was interrupted; it is finished first",
        ),
        ("broken", "--configure", [], "sudo dpkg --configure -a && sudo apt-get --fix-broken install, and run"),
    ],
)  # fmt: skip
def test_apt_is_asked_until_it_works_or_there_is_a_sentence(
    audit: str, fails: str, steps: list[str], words: str
) -> None:
    done = parts(APT, AUDIT=audit, FAILS=fails)
    printed = done.stderr.splitlines()
    assert [line for line in printed if line.startswith(("apt-get", "env "))] == steps
    assert words in done.stderr
    assert (done.returncode == 0) == ("install, and run" not in words and "could not install" not in words)


@pytest.mark.parametrize(
    ("f5", "installed", "free_mb", "words"),
    [
        ("yes", "", 6999, "needs 7000 MB in /opt/ishowtts, but only 6999 MB are free there"),
        ("yes", "", 7000, ""),
        ("yes", "torch-2.11.0*", 1000, ""),
        ("no", "", 999, "needs 1000 MB in /opt/ishowtts, but only 999 MB are free there"),
    ],
)
def test_the_space_on_the_disk_is_checked_first(f5: str, installed: str, free_mb: int, words: str) -> None:
    script = """
    has_package() { [[ -n $INSTALLED && $2 == $INSTALLED ]]; }
    df() { printf 'Filesystem\\n/dev/root 0 0 %s\\n' "$FREE_MB"; }
    f5=$F5 transcription=no lock=linux
    check_disk_space
    """
    done = parts(script, F5=f5, INSTALLED=installed, FREE_MB=str(free_mb))
    assert (done.returncode == 0, done.stderr == "") == (not words, not words)
    assert words in done.stderr


def test_the_newest_torch_that_the_wheels_have_and_the_system_can_load_is_chosen(tmp_path: Path) -> None:
    if not UV.exists():
        pytest.skip("uv is not installed beside this Python")
    script = """
    has_library() { [ -n "$CUDSS" ]; }
    TORCH_SETS=("2.12.0 3.7.0" "2.9.0 3.5.0" "2.8.0 3.4.0" "2.7.1 3.3.1")
    mkdir -p "$WORK/venv/bin" && ln -sf "$UV" "$WORK/venv/bin/uv" && ln -sf "$HERE" "$WORK/venv/bin/python"
    choose_torch "$WORK/venv" "$WORK" "$BENCH"
    """

    def chosen(cudss: str, bench: str = "no") -> str:
        done = parts(
            script,
            WORK=str(tmp_path),
            UV=str(UV),
            HERE=sys.executable,
            CUDSS=cudss,
            BENCH=bench,
            UV_CACHE_DIR=str(tmp_path / "cache"),
        )
        return done.stdout or done.stderr.splitlines()[-1]

    assert chosen("yes").endswith("has no torch for this Python; these fit: 2.12.0 2.9.0 2.8.0 2.7.1")
    wheel(tmp_path, "torch", "2.12.0")
    wheel(tmp_path, "torch", "2.8.0+cu126")
    wheel(tmp_path, "torchaudio", "2.9.0")
    assert chosen("yes") == "2.12.0 3.7.0\n"
    none = "has no torch and torchaudio of one version for this Python; these fit: 2.9.0 2.8.0 2.7.1"
    assert chosen("yes", "yes").endswith(none)
    wheel(tmp_path, "torchaudio", "2.8.0")
    assert chosen("yes", "yes") == "2.8.0 3.4.0\n"
    assert chosen("", "yes") == "2.8.0 3.4.0\n", "the check of the GPU names what is missing"
    wheel(tmp_path, "torch", "2.7.1")
    assert chosen("") == "2.7.1 3.3.1\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "name the folder that it makes"),
        (["a", "b"], 2, "it makes one folder, and two are named"),
        (["--wrong"], 2, "unknown option --wrong"),
        (["{full}"], 1, "is not empty, and it is not a bundle; name a new folder"),
        (["/proc"], 1, "a disk is mounted at /proc; name a folder on it, such as /proc/ishowtts"),
    ],
)
def test_a_bundle_is_not_made_over_something_else(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "mine").touch()
    done = subprocess.run(
        [ROOT / "scripts/bundle", *(word.format(full=tmp_path) for word in arguments)],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (status, 1)
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
