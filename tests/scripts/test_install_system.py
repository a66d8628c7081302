"""What install.sh gives to the system: users, folders and units, each in the place that systemd has for it."""

from __future__ import annotations

import os
import shutil
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
    machine.call("add_users")
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
    machine.call('make_folders "$DATA" "$CACHE" ishowtts ishowtts')
    assert machine.data.is_symlink()
    assert machine.owner("/srv/data") == (0, 65534, "0o750")
    assert machine.owner("/srv/data/state") == machine.owner("/srv/cache") == (65534, 65534, "0o700")


def test_the_units_of_an_earlier_version_move_and_those_of_the_operator_stay(machine: InstallMachine) -> None:
    former = machine.former_units / "ishowtts.service"
    former.write_text(f"[Service]\nExecStart={machine.root}/opt/ishowtts/venv/bin/ishowtts run\n")
    (machine.former_units / "ishowtts-clocks.service").write_text("of the same version")
    machine.call("install_units")
    assert list(machine.former_units.glob("ishowtts*")) == []
    former.write_text("[Service]\nExecStart=/opt/mine\n")  # as `systemctl edit --full` leaves it
    assert "kept: /etc/systemd/system/ishowtts.service, which systemd uses instead" in machine.call("install_units")
    machine.call("remove_units")
    assert former.read_text() == "[Service]\nExecStart=/opt/mine\n"


def test_the_delay_before_a_restart_grows_where_systemd_can(machine: InstallMachine) -> None:
    places = [folder / "restart-delay.conf" for folder in (machine.drop_ins, machine.gateway_drop_ins)]
    for version, is_there in {"253": False, "254": True, "249": False}.items():
        (machine.root / "systemd").write_text(f"{version}\n")
        machine.call("install_device_drop_ins")
        assert [path.exists() for path in places] == [is_there, is_there], version


def test_jetson_stats_gets_its_group_only_if_wanted_and_there(machine: InstallMachine) -> None:
    drop_in = machine.drop_ins / "jetson-stats.conf"
    machine.config.parent.mkdir()

    def said(config: str) -> str:
        machine.config.write_text(config)
        return machine.call("install_device_drop_ins")

    assert "no group jtop" in said("board:\n  jetson_stats: true\n")
    assert not drop_in.exists()
    (machine.root / "groups").write_text("audio\njtop\n")
    said("board:\n  jetson_stats: true\n")
    assert drop_in.read_bytes() == (ROOT / "systemd/jetson-stats.conf").read_bytes()
    said("board: {jetson_stats: false}\n")
    assert not drop_in.exists(), "the service would be root for nothing"
    said("board: [\n")
    assert not drop_in.exists()


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


BROKER_SECRETS = ["mqtt-username", "mqtt-password", "gateway-mqtt-username", "gateway-mqtt-password",
                  "controller-mqtt-password"]  # fmt: skip


def hashed(machine: InstallMachine) -> dict[str, str]:
    """The users of the broker, with the hashes of their passwords."""
    lines = machine.path("/etc/mosquitto/ishowtts.passwd").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def test_a_broker_has_our_files_and_a_password_for_each_user(machine: InstallMachine, tmp_path: Path) -> None:
    output = machine.install("--broker")
    assert "systemctl restart mosquitto.service" in machine.calls
    folder = machine.config.parent
    for name in BROKER_SECRETS:
        assert (folder / name).stat().st_mode & 0o7777 == 0o600, name
    secrets = {name: (folder / name).read_text() for name in BROKER_SECRETS}
    assert (secrets["mqtt-username"], secrets["gateway-mqtt-username"]) == ("ishowtts\n", "gateway\n")
    passwords = {secrets[name] for name in BROKER_SECRETS if name.endswith("password")}
    assert len(passwords) == 3
    assert {len(password) for password in passwords} == {25}
    assert not [password for password in passwords if password.strip() in output], "the log has the output"
    assert "sudo cat /etc/ishowtts/controller-mqtt-password" in output
    users = hashed(machine)
    assert set(users) == {"ishowtts", "gateway", "controller"}
    assert all(line.startswith("$") for line in users.values())
    assert machine.owner("/etc/mosquitto/ishowtts.passwd") == (65534, 65534, "0o600")
    assert machine.owner("/etc/mosquitto/ishowtts.acl") == (65534, 65534, "0o600")
    for name, path in {"conf": "conf.d/ishowtts.conf", "acl": "ishowtts.acl"}.items():
        shipped = (ROOT / f"config/mosquitto/ishowtts.{name}").read_bytes()
        assert machine.path(f"/etc/mosquitto/{path}").read_bytes() == shipped
    assert {path.name for path in machine.drop_ins.iterdir()} == {"mqtt-username.conf", "mqtt-password.conf"}
    assert len(list(machine.gateway_drop_ins.iterdir())) == 2

    machine.call("install_broker")
    assert {name: (folder / name).read_text() for name in BROKER_SECRETS} == secrets
    assert hashed(machine) == users
    assert machine.calls == []
    machine.call("remove_broker")
    assert machine.path("/etc/mosquitto/conf.d/ishowtts.conf").exists()
    machine.install("--uninstall", "--purge")
    assert list(machine.path("/etc/mosquitto").rglob("*.*")) == [machine.path("/etc/mosquitto/conf.d")]
    assert machine.called("systemctl")[-1] == "systemctl daemon-reload"


def test_a_broker_keeps_what_the_operator_has_edited_and_its_passwords(machine: InstallMachine) -> None:
    machine.call("install_broker")
    acl, conf = machine.path("/etc/mosquitto/ishowtts.acl"), machine.path("/etc/mosquitto/conf.d/ishowtts.conf")
    acl.write_text("user bob\n")
    passwd = machine.path("/etc/mosquitto/ishowtts.passwd")
    passwd.write_text("bob:$7$x\ncontroller:$7$y\n")
    (machine.config.parent / "controller-mqtt-password").unlink()
    output = machine.call("install_broker")
    assert "kept: /etc/mosquitto/ishowtts.acl, which was edited" in output
    assert "kept: the password of the broker's user controller" in output
    assert acl.read_text() == "user bob\n"
    assert Path(f"{acl}.new").read_bytes() == (ROOT / "config/mosquitto/ishowtts.acl").read_bytes()
    users = hashed(machine)
    assert (set(users), users["bob"]) == ({"bob", "ishowtts", "gateway", "controller"}, "$7$x")
    assert machine.calls == ["systemctl reload-or-restart mosquitto.service"]
    assert "which was edited" not in machine.call("install_broker"), "once is enough"
    conf.write_text("listener 1884\n")
    assert "kept: /etc/mosquitto/conf.d/ishowtts.conf" in machine.call("purge=yes; remove_broker")
    assert passwd.exists()


def test_a_purge_also_removes_what_an_interrupted_installation_has_made_of_a_broker(machine: InstallMachine) -> None:
    machine.call("install_broker")
    machine.path("/etc/mosquitto/conf.d/ishowtts.conf").unlink()
    machine.call("remove_broker")
    assert machine.path("/etc/mosquitto/ishowtts.passwd").exists()
    machine.call("purge=yes; remove_broker")
    assert list(machine.path("/etc/mosquitto").rglob("*.*")) == [machine.path("/etc/mosquitto/conf.d")]


def test_no_password_is_left_in_a_temporary_folder(machine: InstallMachine, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    program = f"export TMPDIR={tmp_path}/temporary; mosquitto_passwd() {{ return $FAILS; }}; install_broker"
    for fails in (1, 0):
        done = machine.shell(f"FAILS={fails}; {program}")
        assert (done.returncode == 0) == (fails == 0)
        assert list((tmp_path / "temporary").iterdir()) == []


def test_a_configuration_with_which_mosquitto_does_not_start_is_removed(machine: InstallMachine) -> None:
    machine.fail("systemctl restart")
    done = machine.shell("install_broker")
    assert (done.returncode, "mosquitto does not start with our configuration" in done.stderr) == (1, True)
    assert not machine.path("/etc/mosquitto/conf.d/ishowtts.conf").exists()


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        (
            "/etc/mosquitto/conf.d/home.conf",
            "listener 1883\n",
            "already configured, by /etc/mosquitto/conf.d/home.conf",
        ),
        ("/etc/mosquitto/mosquitto.conf", "allow_anonymous true\n", "already configured, by /etc/mosquitto/mosquitto"),
        ("/etc/mosquitto/mosquitto.conf", "include_dir /srv/mqtt\n", "already configured, by /etc/mosquitto/mosquitto"),
        ("/etc/ishowtts/config.yaml", "mqtt: {host: hub.lan}\n", "names the broker hub.lan, port 1883"),
        ("/etc/ishowtts/mqtt-username", "kitchen\n", "the user kitchen of another broker"),
    ],
)
def test_a_broker_is_refused_where_there_is_one(machine: InstallMachine, file: str, content: str, reason: str) -> None:
    path = machine.path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# only comments\npid_file /run/mosquitto/mosquitto.pid\npersistence true\n")
    machine.call("check_broker" if "mosquitto" in file else "true")
    path.write_text(content)
    before = machine.tree()
    done = machine.shell("check_broker")
    assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert machine.tree() == before


def test_connections_and_listeners_are_read_from_the_kernels_tables(tmp_path: Path) -> None:
    """The tables have a header and hexadecimal numbers. Client connections of user 1000 to port 1883 are foreign."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: 0100007F:{0} 0100007F:{1} {2} 00000000:00000000 00:00000000 00000000 {3:5} 0 1 1 0 100 0 0 10 0\n"

    def answers(*rows: str) -> str:
        table = tmp_path / "tcp"
        table.write_text(head + "".join(rows))
        program = f"""
        set -euo pipefail; id() {{ echo 997; }}; . scripts/install/broker.sh
        is_port_taken 1883 {table} {table}6 && echo taken || echo free
        is_broker_used 1883 {table} {table}6 && echo used || echo unused"""
        done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        return " ".join([*done.stdout.split(), *done.stderr.split()])

    assert answers() == "free unused"
    assert answers(row.format("075B", "0000", "0A", 111)) == "taken unused"
    assert answers(row.format("9C40", "075B", "01", 997)) == "free unused"
    assert answers(row.format("9C40", "075B", "01", 1000)) == "free used"
    assert answers(row.format("075B", "9C40", "01", 1000)) == "free unused", "the broker's end of it"


def new_defaults(machine: InstallMachine) -> str:
    """Give the machine a running release with the present defaults, and the checkout others. Returns those."""
    former = machine.path("/opt/ishowtts/releases/1/share/ishowtts/config/ishowtts.yaml")
    former.parent.mkdir(parents=True)
    shutil.copy(ROOT / "config/ishowtts.yaml", former)
    machine.config.parent.mkdir()
    shutil.copy(former, machine.config)
    shipped = machine.root / "checkout/config/ishowtts.yaml"
    shipped.unlink()
    new = former.read_text().replace("  volume: 80\n", "  volume: 70\n  bass: 3\n")
    shipped.write_text(new)
    return new


UPDATE = "switch_before=$BASE/releases/1; update_configuration"


def test_the_defaults_of_a_new_version_replace_an_unedited_configuration(machine: InstallMachine) -> None:
    new = new_defaults(machine)
    machine.config.chmod(0o640)
    assert "replaced: /etc/ishowtts/config.yaml" in machine.call(UPDATE)
    assert machine.config.read_text() == new
    assert machine.config.stat().st_mode & 0o7777 == 0o640
    assert not Path(f"{machine.config}.new").exists()


def test_the_defaults_of_a_new_version_come_beside_an_edited_configuration(machine: InstallMachine) -> None:
    new = new_defaults(machine)
    mine = machine.config.read_text().replace("  name: null ", "  name: kitchen ")
    mine = mine.replace("  cache_mb: 500 ", "  cache: 5 ")
    machine.config.write_text(mine)
    output = machine.call(UPDATE)
    for sentence in ("kept: /etc/ishowtts/config.yaml\n", "new keys: audio.bass (3)",
                     "keys with another default: audio.volume (70, was 80)",
                     "keys that this version does not know: audio.cache"):  # fmt: skip
        assert sentence in output
    assert machine.config.read_text() == mine
    assert Path(f"{machine.config}.new").read_text() == new
    assert "new keys" not in machine.call(UPDATE), "said once"
    (machine.root / "checkout/config/ishowtts.yaml").write_text((ROOT / "config/ishowtts.yaml").read_text())
    Path(f"{machine.config}.new").unlink()
    machine.call(UPDATE)
    assert not Path(f"{machine.config}.new").exists(), "these defaults are not new"


@pytest.mark.parametrize("before", ["", "$FORMER_VENV"])
def test_a_short_file_of_an_unknown_version_tells_no_news(machine: InstallMachine, before: str) -> None:
    """All keys that it leaves out would be new."""
    machine.config.parent.mkdir()
    machine.config.write_text("device: {name: kitchen}\n")
    assert machine.call(f"switch_before={before}; update_configuration") == (
        "kept: /etc/ishowtts/config.yaml\n"
        "+ install -m 0644 config/ishowtts.yaml /etc/ishowtts/config.yaml.new\n"
        "      the defaults of this version are beside it, as /etc/ishowtts/config.yaml.new\n"
    )


def test_a_configuration_that_the_new_version_cannot_use_stops_it_before_the_switch(machine: InstallMachine) -> None:
    machine.config.parent.mkdir()
    machine.config.write_text("device: {name: kitchen}\naudio: {cache: 5}\n")
    done = machine.shell("check_configuration")
    assert done.returncode == 1
    assert "this version cannot use /etc/ishowtts/config.yaml:\n" in done.stderr
    assert "audio.cache" in done.stderr
    assert "audio.cache" in machine.call("start=no; check_configuration")
    for right in ("device: {name: kitchen}\n", (ROOT / "config/ishowtts.yaml").read_text()):
        machine.config.write_text(right)
        assert machine.call("check_configuration") == ""


def test_the_configuration_is_not_read_without_a_release_that_can(machine: InstallMachine) -> None:
    """The Python of the system has no YAML library, nor has that of a release after an upgrade of the system."""
    machine.config.parent.mkdir()
    machine.config.write_text("mqtt: {host: hub.lan}\n")
    python = machine.path("/opt/ishowtts/old/bin/python")
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ModuleNotFoundError: No module named yaml" >&2; exit 1\n')
    python.chmod(0o755)
    read = 'config_file value "$CONFIG" mqtt.host'
    assert machine.call(read) == "hub.lan\n"
    for release in ("", '"$BASE/old"'):
        assert machine.call(f"VENV=/nowhere; running_release() {{ echo {release}; }}; {read}") == ""


def test_weights_are_fetched_with_the_new_release_and_their_failure_is_no_end(
    machine: InstallMachine, tmp_path: Path
) -> None:
    machine.call("fetch=openf5; install_weights")
    assert machine.calls == ["ishowtts fetch --config /etc/ishowtts/config.yaml --model openf5 --accept-licence"]
    machine.fail("ishowtts fetch")
    assert (
        "run: sudo ishowtts fetch --config /etc/ishowtts/config.yaml --from /weights --accept-licence"
        in machine.call("weights=/weights; install_weights")
    )
    for arguments, reason in {
        ("--fetch", "openf5"): "--accept-licence accepts it",
        ("--weights", "/nowhere", "--accept-licence"): "--weights /nowhere is not a folder",
        ("--fetch", "openf5", "--without-f5"): "which --without-f5 leaves out",
    }.items():
        done = machine.run(*arguments)
        assert (done.returncode, reason in done.stderr, machine.calls) == (2, True, []), done.stderr
    steps = machine.install("--dry-run", "--weights", str(tmp_path), "--accept-licence", "--broker")
    order = ["mosquitto_passwd", "ishowtts fetch", "mv -f -T /opt/ishowtts/current.new", "ishowtts say"]
    places = [steps.index(word) for word in order]
    assert places == sorted(places)


def test_one_line_is_spoken_at_the_end(machine: InstallMachine) -> None:
    say = "ishowtts say --verbose --wait 15 --config /etc/ishowtts/config.yaml iShowTTS is installed and ready."
    assert "If you did not hear it" in machine.call("speak_test_line")
    assert machine.calls == [say]
    for options in ("line=no", "start=no"):
        machine.call(f"{options}; speak_test_line")
        assert machine.calls == []
    machine.fail("ishowtts say")
    assert "The line was not spoken; 'sudo ishowtts doctor'" in machine.call("speak_test_line")


def test_a_line_that_has_to_wait_is_withdrawn(machine: InstallMachine) -> None:
    """It would be spoken hours later, when quiet hours end."""
    program = machine.path("/opt/ishowtts/current/bin/ishowtts")
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\necho "ishowtts $*" >>"$MACHINE/calls"\n'
        'if [ "$1" = say ]; then echo "ishowtts: line 0a1b goes to ishowtts/k" >&2; echo "accepted: quiet"; exit 3; fi'
    )
    program.chmod(0o755)
    output = machine.call("speak_test_line")
    assert ("accepted: quiet\n" in output, "is withdrawn" in output, "0a1b" in output) == (True, True, False)
    assert machine.calls[-1] == "ishowtts cancel --config /etc/ishowtts/config.yaml 0a1b"
