"""The systemd units: a table gives each directive with its reason, and the paths agree with the configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.cli import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "/opt/ishowtts/venv/bin/ishowtts"
CONFIG = "/etc/ishowtts/config.yaml"

Reasons = dict[str, dict[str, str]]
"""Section, then directive, then what goes wrong without it."""

SERVICE: Reasons = {
    "Unit": {
        "Description=iShowTTS: speaks lines from MQTT in a cloned voice": "`systemctl status` shows it",
        f"Documentation=file:{CONFIG}": "`systemctl help` leads to the configuration",
        "Wants=ishowtts-clocks.service":
            "a start also fixes the clocks; not Requires=: the service runs without a Jetson",
        "After=network.target mosquitto.service nvpmodel.service sound.target ishowtts-clocks.service":
            "at boot the broker, the sound card and the clocks are there before the first line; "
            "at shutdown the network is still there when the daemon says that it goes offline",
        "StartLimitIntervalSec=300": "within the default of 10 s too few starts count, if each crashes after seconds",
        "StartLimitBurst=10": "an endless series of crashes ends in a failed unit, which monitoring sees",
    },
    "Service": {
        "Type=notify": "`systemctl start` returns when the daemon is ready, and the watchdog needs it",
        "NotifyAccess=main": "a worker must not speak for the daemon",
        f"ExecStart={PROGRAM} run --config {CONFIG}": "it starts the daemon that install.sh installed",
        "ExecReload=/bin/kill -HUP $MAINPID": "`systemctl reload` says what a changed configuration needs",
        "User=ishowtts": "without it the daemon runs as root",
        "Group=ishowtts": "root's data folder is readable for this group alone",
        "StateDirectory=ishowtts/state": "systemd would give the service all of /var/lib/ishowtts, which root must own",
        "CacheDirectory=ishowtts": "the compiler and numba write there; everything else is read-only",
        "StateDirectoryMode=0700": "the default is 0755: every user could read what was spoken",
        "CacheDirectoryMode=0700": "the default is 0755: every user could hear what was spoken",
        "ConfigurationDirectory=ishowtts": "systemd makes the folder, so the daemon can name the file that is missing",
        "Environment=HOME=/var/lib/ishowtts/state PYTHONUNBUFFERED=1":
            "libraries write under HOME, and an unbuffered log has the last message before a crash",
        "Environment=NUMBA_CACHE_DIR=/var/cache/ishowtts/numba": "numba writes beside its code, which is read-only",
        "WatchdogSec=30": "a daemon that hangs is silent until a person restarts it",
        "TimeoutStartSec=90": "the limit would depend on the distribution's default",
        "TimeoutStopSec=20": "the daemon gives its parts 5 s each; a shutdown must not wait for 90 s",
        "Restart=on-failure": "a daemon that crashed stays silent",
        "RestartSec=2": "after the default of 100 ms a fault that passes uses up all 10 starts",
        "RestartPreventExitStatus=2": "a wrong configuration is the same after a restart",
        "KillMode=mixed": "SIGTERM goes to the daemon alone, which ends its worker; SIGKILL goes to all",
        "OOMPolicy=continue": "the daemon restarts a worker that the kernel killed; `stop`, the default, ends both",
        "NoNewPrivileges=yes": "a setuid program would give privileges back",
        "CapabilityBoundingSet=": "no capability can be regained",
        "AmbientCapabilities=": "no capability is inherited",
        "ProtectSystem=strict": "the service writes in its state and cache alone",
        "ProtectHome=yes": "the homes of people are out of reach",
        "PrivateTmp=yes": "files of other users in /tmp are out of reach",
        "ProtectProc=invisible": "the processes of other users are hidden",
        "ProtectKernelTunables=yes": "/sys and /proc/sys are read-only",
        "ProtectKernelModules=yes": "no module can be loaded",
        "ProtectKernelLogs=yes": "the kernel's log is out of reach",
        "ProtectControlGroups=yes": "the limits of the unit cannot be lifted from within",
        "ProtectClock=yes": "the clock cannot be set",
        "ProtectHostname=yes": "the host name cannot be set",
        "LockPersonality=yes": "no other ABI can be chosen",
        "RestrictSUIDSGID=yes": "no setuid file can be left behind",
        "RestrictNamespaces=yes": "user namespaces are a common way to a kernel bug",
        "RestrictRealtime=yes": "a real-time thread could keep all others from running",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK":
            "the journal and PulseAudio, the broker over both IP versions, name resolution; nothing else",
        "SystemCallArchitectures=native": "32-bit system calls get around a filter",
        "SystemCallFilter=@system-service": "mount, reboot and the like are out of reach",
        "SystemCallErrorNumber=EPERM": "the default kills the daemon at a library's harmless attempt",
        "KeyringMode=private": "keys of root's session are out of reach",
        "RemoveIPC=yes": "shared memory of a killed worker would stay allocated",
        "UMask=0077": "files would be readable for every user",
        "DevicePolicy=closed": "every other device is out of reach",
        "DeviceAllow=char-alsa rw": "no sound",
        "DeviceAllow=char-nv* rw": "no GPU: nvidia, nvhost-* and nvgpu nodes",
        "DeviceAllow=char-drm rw": "no GPU on JetPack 6: its render nodes",
        "DeviceAllow=/dev/nvmap rw": "no GPU memory on Jetson",
    },
    "Install": {
        "WantedBy=multi-user.target": "`systemctl enable` starts it at boot",
    },
}  # fmt: skip

CLOCKS: Reasons = {
    "Unit": {
        "Description=iShowTTS: keeps the Jetson's clocks at their maximum": "`systemctl status` shows it",
        "ConditionPathExists=/etc/nv_tegra_release": "the unit fails on a machine without jetson_clocks",
        "After=nvpmodel.service": "nvpmodel sets the limits: the clocks would be raised to the old ones",
        "PartOf=ishowtts.service": "a stop of the service restores the clocks",
        "StartLimitIntervalSec=1800": "within the default of 10 s no try would count",
        "StartLimitBurst=20": "an endless series of failures ends in a failed unit, which monitoring sees",
    },
    "Service": {
        "Type=oneshot": "the daemon starts after the clocks are set",
        "RemainAfterExit=yes": "without it ExecStop runs immediately, and restores the clocks",
        "Environment=HOME=/root": "jetson_clocks stores the previous clocks under HOME, which systemd leaves unset",
        f"ExecStart={PROGRAM} clocks apply --config {CONFIG}": "it applies what the configuration says",
        f"ExecStop={PROGRAM} clocks restore --config {CONFIG}": "the board stays at full power after a stop",
        "TimeoutStartSec=60": "a oneshot unit has no limit: a stuck jetson_clocks would keep the daemon from starting",
        "TimeoutStopSec=60": "a stuck jetson_clocks would hold up a shutdown",
        "Restart=on-failure": "the clocks stay unlocked until somebody notices, if the driver was not ready at boot",
        "RestartSec=15": "after the default of 100 ms all tries are over before the driver is ready",
        "RestartPreventExitStatus=2": "a wrong configuration is the same after a restart",
    },
    "Install": {
        "WantedBy=ishowtts.service": "`systemctl enable` starts it with the service",
    },
}

UNITS = {"ishowtts.service": SERVICE, "ishowtts-clocks.service": CLOCKS}
SECRETS = ["mqtt-username", "mqtt-password", "mqtt-tls-key"]


def directives(path: Path) -> list[tuple[str, str]]:
    """Each directive with its section."""
    found, section = [], ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


def value(unit: str, key: str) -> str:
    return next(line.partition("=")[2] for _, line in directives(ROOT / "systemd" / unit) if line.startswith(f"{key}="))


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_each_directive_once_and_none_without_a_reason(unit: str) -> None:
    wanted = {(section, line): reason for section, lines in UNITS[unit].items() for line, reason in lines.items()}
    found = directives(ROOT / "systemd" / unit)
    lost = [
        f"[{section}] {line}: {reason}" for (section, line), reason in wanted.items() if (section, line) not in found
    ]
    assert lost == []
    assert [line for line in found if line not in wanted] == [], "give each new directive its reason in this table"
    assert len(found) == len(wanted), "the last of two equal directives hides the first"


@pytest.mark.parametrize("name", SECRETS)
def test_a_drop_in_passes_the_secret_of_its_own_name_to_the_service(name: str) -> None:
    assert directives(ROOT / f"systemd/{name}.conf") == [("Service", f"LoadCredential={name}:/etc/ishowtts/{name}")]


def test_there_is_a_table_for_each_file() -> None:
    assert {path.name for path in (ROOT / "systemd").iterdir()} == {*UNITS, *(f"{name}.conf" for name in SECRETS)}


def test_the_service_may_write_where_the_default_configuration_writes() -> None:
    defaults = config.Config()
    assert Path("/var/lib", value("ishowtts.service", "StateDirectory")) == defaults.state_dir
    assert Path("/var/cache", value("ishowtts.service", "CacheDirectory")) == defaults.cache_dir
    assert Path(CONFIG) == config.DEFAULT_PATH


@pytest.mark.parametrize(
    ("unit", "key"),
    [
        ("ishowtts.service", "ExecStart"),
        ("ishowtts-clocks.service", "ExecStart"),
        ("ishowtts-clocks.service", "ExecStop"),
    ],
)
def test_the_program_knows_the_command_and_ends_with_2_if_the_configuration_is_wrong(
    unit: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = value(unit, key).split()
    assert program == PROGRAM
    wrong = tmp_path / "config.yaml"
    wrong.write_text("no_such_key: 1\n")
    status = main([str(wrong) if word == CONFIG else word for word in words])
    assert str(status) == value("ishowtts.service", "RestartPreventExitStatus")
    assert "no_such_key" in capsys.readouterr().err


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A root folder in which the units find their program."""
    program = tmp_path / "opt/ishowtts/venv/bin/ishowtts"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = (ROOT / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/opt/ishowtts", f"{tmp_path}/opt/ishowtts"))
    return tmp_path


def test_systemd_finds_no_fault_in_the_units(staged: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(staged / unit for unit in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "ishowtts" in line]) == (0, [])


def test_no_unit_waits_for_the_network() -> None:
    for unit in UNITS:
        assert not [line for _, line in directives(ROOT / "systemd" / unit) if "network-online" in line]


def test_a_reload_sends_the_signal_that_the_daemon_understands() -> None:
    program, *words = value("ishowtts.service", "ExecReload").split()
    assert words == ["-HUP", "$MAINPID"]
    assert Path(program).exists()


def test_the_service_is_sandboxed() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", ROOT / "systemd/ishowtts.service"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
