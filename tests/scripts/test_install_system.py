"""What install.sh gives to the system: users, folders and units, each in the place that systemd has for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.install_machine import ROOT, InstallMachine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def machine(tmp_path: Path) -> InstallMachine:
    return InstallMachine(tmp_path)


def test_the_user_joins_the_groups_that_exist(machine: InstallMachine) -> None:
    (machine.root / "groups").write_text("video\naudio\n")
    machine.install()
    lines = machine.path("/usr/local/lib/sysusers.d/ishowtts.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("m ")] == ["m ishowtts audio", "m ishowtts video"]


def test_systemd_makes_the_users_that_own_the_folders(tmp_path: Path) -> None:
    """The real systemd-sysusers and systemd-tmpfiles, with the files that are shipped."""
    (tmp_path / "etc").mkdir()
    for _ in range(2):  # the second run changes nothing
        for program, words in {"sysusers": [], "tmpfiles": ["--create"]}.items():
            file = ROOT / f"systemd/{program}.d/ishowtts.conf"
            done = subprocess.run(
                [f"systemd-{program}", f"--root={tmp_path}", *words, file], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
        assert {(user[5], user[6]) for user in users.values()} == {
            ("/var/lib/ishowtts/state", "/usr/sbin/nologin"), ("/nonexistent", "/usr/sbin/nologin")
        }  # fmt: skip
        uid, gid = int(users["ishowtts"][2]), int(users["ishowtts"][3])
        assert 0 < uid < 1000
        for path, owner in {
            "etc/ishowtts": (0, 0, 0o755), "var/lib/ishowtts": (0, gid, 0o750),
            "var/lib/ishowtts/state": (uid, gid, 0o700), "var/lib/ishowtts/voices": (0, 0, 0o755),
            "var/lib/ishowtts/chimes": (0, 0, 0o755), "var/cache/ishowtts": (uid, gid, 0o700),
        }.items():  # fmt: skip
            state = (tmp_path / path).stat()
            assert (state.st_uid, state.st_gid, state.st_mode & 0o7777) == owner, path


def test_folders_on_another_disk_get_their_owner_too(machine: InstallMachine) -> None:
    for name, folder in {"data": machine.data, "cache": machine.path("/var/cache/ishowtts")}.items():
        machine.path(f"/srv/{name}").mkdir(parents=True)
        folder.symlink_to(f"../../srv/{name}")
    machine.install()
    assert machine.data.is_symlink()
    assert machine.owner("/srv/data") == (0, 65534, "0o750")
    assert machine.owner("/srv/data/state") == machine.owner("/srv/cache") == (65534, 65534, "0o700")


def test_the_units_of_an_earlier_version_move_and_those_of_the_operator_stay(machine: InstallMachine) -> None:
    former = machine.former_units / "ishowtts.service"
    former.write_text(f"[Service]\nExecStart={machine.root}/opt/ishowtts/venv/bin/ishowtts run\n")
    (machine.former_units / "ishowtts-clocks.service").write_text("of the same version")
    machine.install()
    assert list(machine.former_units.glob("ishowtts*")) == []
    former.write_text("[Service]\nExecStart=/opt/mine\n")  # as `systemctl edit --full` leaves it
    assert "kept: /etc/systemd/system/ishowtts.service, which systemd uses instead" in machine.install()
    machine.install("--uninstall", "--purge")
    assert former.read_text() == "[Service]\nExecStart=/opt/mine\n"


def test_the_delay_before_a_restart_grows_where_systemd_can(machine: InstallMachine) -> None:
    places = [folder / "restart-delay.conf" for folder in (machine.drop_ins, machine.gateway_drop_ins)]
    for version, is_there in {"253": False, "254": True, "249": False}.items():
        (machine.root / "systemd").write_text(f"{version}\n")
        machine.install("--no-start")
        assert [path.exists() for path in places] == [is_there, is_there], version


def test_jetson_stats_gets_its_group_only_if_wanted_and_there(machine: InstallMachine) -> None:
    drop_in = machine.drop_ins / "jetson-stats.conf"
    machine.install("--no-start")
    assert not drop_in.exists()
    machine.config.write_text("board:\n  jetson_stats: true\n")
    assert "no group jtop" in machine.install("--no-start")
    assert not drop_in.exists()
    (machine.root / "groups").write_text("audio\njtop\n")
    machine.install("--no-start")
    assert drop_in.read_bytes() == (ROOT / "systemd/jetson-stats.conf").read_bytes()
    machine.config.write_text("board: {jetson_stats: false}\n")
    machine.install("--no-start")
    assert not drop_in.exists(), "the service would be root for nothing"


CLASSES = """Character devices:
 10 misc
116 alsa
226 drm
240 nvidia-nvlink
505 nvhost-gpu

Block devices:
 10 sd
"""


def test_only_nodes_that_the_unit_does_not_allow_by_their_class_are_listed(tmp_path: Path) -> None:
    device = tmp_path / "dev"
    for name, major in {
        "nvmap": 10, "nvhost-gpu": 505, "nvgpu/igpu0/ctrl": 505, "nvgpu/igpu0/odd name": 10, "host1x-fence": 10,
        "dri/renderD128": 226, "snd/timer": 116, "snd/odd": 10, "kvm": 10,
    }.items():  # fmt: skip
        node = device / name
        node.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(node, 0o20600, os.makedev(major, 1))
    (device / "nvlink.log").write_text("a file")
    (tmp_path / "devices").write_text(CLASSES)

    def listed(folder: Path) -> list[str]:
        program = f". scripts/install/devices.sh; set -euo pipefail; unlisted_devices {folder} {tmp_path / 'devices'}"
        done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return [line.removeprefix(f"{folder}/") for line in done.stdout.splitlines()]

    assert listed(device) == ["host1x-fence", "nvmap", "snd/odd"]
    assert listed(tmp_path / "empty") == []
