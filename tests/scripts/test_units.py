"""The systemd units: a table gives each directive with its reason, and the paths agree with the configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.board.clock_repair import REQUEST_FILE
from ishowtts.board.jetson_clocks import STORE
from ishowtts.cli import main
from ishowtts.cli.clocks import OTHER_MODE
from support.unit_files import directives

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "/opt/ishowtts/current/bin/ishowtts"
CONFIG = "/etc/ishowtts/config.yaml"

Reasons = dict[str, dict[str, str]]
"""Section, then directive, then what goes wrong without it."""

SERVICE: Reasons = {
    "Unit": {
        "Description=iShowTTS: speaks lines of text that arrive over MQTT": "`systemctl status` shows it",
        f"Documentation=file:{CONFIG}": "`systemctl help` leads to the configuration",
        "After=nvpmodel.service sound.target modprobe@snd.service modprobe@drm.service":
            "nvpmodel cannot switch off parts of a GPU that is in use; the sound card is there at the first line",
        "Wants=modprobe@snd.service modprobe@drm.service":
            "DeviceAllow= leaves out classes that no driver has registered; a card that comes later would stay closed",
        "StartLimitIntervalSec=0": "after five starts within 10 s systemd leaves the appliance dead for ever",
    },
    "Service": {
        "Type=notify": "`systemctl start` returns when the daemon is ready, and the watchdog needs it",
        "NotifyAccess=main": "a worker must not speak for the daemon",
        f"ExecStart={PROGRAM} run --config {CONFIG}": "it starts the daemon that install.sh installed",
        "ExecReload=/bin/kill -HUP $MAINPID": "`systemctl reload` says what a changed configuration needs",
        "User=ishowtts": "without it the daemon runs as root",
        "Group=ishowtts": "root's data folder is readable for this group alone",
        "StateDirectory=ishowtts/state": "systemd would give the service all of /var/lib/ishowtts, which root must own",
        "CacheDirectory=ishowtts": "the compiler writes there; everything else is read-only",
        "StateDirectoryMode=0700": "the default is 0755: every user could read what was spoken",
        "CacheDirectoryMode=0700": "the default is 0755: every user could hear what was spoken",
        "ConfigurationDirectory=ishowtts": "systemd makes the folder, so the daemon can name the file that is missing",
        "RuntimeDirectory=ishowtts": "the daemon could not ask for a repair of the clocks",
        "RuntimeDirectoryMode=0700": "the default is 0755: nobody else has anything to do there",
        "Environment=HOME=/var/lib/ishowtts/state PYTHONUNBUFFERED=1":
            "libraries write under HOME, and an unbuffered log has the last message before a crash",
        "LogRateLimitIntervalSec=30": "the burst would hold for the interval of the machine's journald.conf",
        "LogRateLimitBurst=1000": "a flood of lines replaces the journal of the whole machine within an hour",
        "SyslogLevel=warning": "the last words of a crash are lost if a flood of lines came just before",
        "WatchdogSec=30": "a daemon that hangs is silent until a person restarts it",
        "TimeoutStartSec=90": "the limit would depend on the distribution's default",
        "TimeoutStopSec=20": "the daemon gives its parts 5 s each; a shutdown must not wait for 90 s",
        "Restart=always": "a daemon that crashed stays silent, and so does one that a signal ended with success",
        "RestartSec=2": "the default of 100 ms is a busy loop",
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
        "PrivateMounts=yes": "no mount gets out of its namespace",
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

SANDBOX_OF_ROOT: dict[str, str] = {
    "CapabilityBoundingSet=CAP_SYS_ADMIN":
        "root has 40 more; jetson_clocks may call nvidia-smi, which sets no clocks without this one",
    "NoNewPrivileges=yes": "a setuid program could regain them",
    "ProtectSystem=strict": "the whole system is writable; this leaves /sys and /run/ishowtts-clocks",
    "InaccessiblePaths=-/run/systemd/private -/run/dbus -/run/initctl":
        "systemctl reboot, and so an nvpmodel that reboots, would be obeyed",
    "ProtectHome=yes": "homes are open to a program that needs none",
    "PrivateTmp=yes": "others could prepare names in /tmp",
    "PrivateMounts=yes": "a mount of the program would get out of its namespace",
    "PrivateNetwork=yes": "the program needs no network",
    "ProtectProc=invisible": "other processes are visible",
    "ProtectKernelModules=yes": "modules could be loaded",
    "ProtectKernelLogs=yes": "the kernel's log is within reach",
    "ProtectControlGroups=yes": "the limits of units can be lifted",
    "ProtectClock=yes": "the clock can be set",
    "ProtectHostname=yes": "the host name can be set",
    "LockPersonality=yes": "another ABI can be chosen",
    "RestrictSUIDSGID=yes": "a setuid file could be left behind",
    "RestrictNamespaces=yes": "user namespaces are a common way to a kernel bug",
    "RestrictRealtime=yes": "a real-time thread could keep all others from running",
    "RestrictAddressFamilies=AF_UNIX": "only STATUS= goes through a socket",
    "SystemCallArchitectures=native": "32-bit system calls get around a filter",
    "SystemCallFilter=@system-service": "reboot, mount and the like are within reach",
    "SystemCallErrorNumber=EPERM": "the default kills the program at a library's harmless attempt",
    "KeyringMode=private": "keys of root's session are within reach",
    "UMask=0077": "files would be readable for every user",
    "DevicePolicy=closed": "every device is within reach",
    "DeviceAllow=char-nv* rw": "jetson_clocks recognises the GPU by its device, and nvidia-smi opens it",
    "RuntimeDirectory=ishowtts-clocks": "the former clocks could not be stored",
    "RuntimeDirectoryPreserve=yes": "the former clocks would be lost if a restore fails, or after the repair",
    "RuntimeDirectoryMode=0755": "the daemon must see whether the clocks are to be locked",
}  # fmt: skip

CLOCKS: Reasons = {
    "Unit": {
        "Description=iShowTTS: keeps the Jetson's clocks at their maximum": "`systemctl status` shows it",
        "ConditionPathExists=/etc/nv_tegra_release": "the unit fails on a machine without jetson_clocks",
        "After=nvpmodel.service": "nvpmodel sets the limits: the clocks would be raised to the old ones",
        "PartOf=ishowtts.service": "a stop of the service restores the clocks",
    },
    "Service": {
        "Type=exec": "with oneshot, the boot and `systemctl start` wait as long as a driver is late",
        "RemainAfterExit=yes": "without it the unit ends immediately, and restores the clocks",
        f"ExecStart={PROGRAM} clocks apply --wait 1800 --config {CONFIG}": "at boot a driver may be minutes late",
        f"ExecStopPost={PROGRAM} clocks restore --config {CONFIG}":
            "the board stays at full power after a stop; ExecStop= would be skipped after a failure",
        "SuccessExitStatus=3": "a mode that takes a reboot would unlock the clocks, too",
        "NotifyAccess=main": "`systemctl status` does not show what the program waits for",
        "TimeoutStopSec=150": "a stuck jetson_clocks would hold up a shutdown; a restore may wait 80 s for a repair",
        "Restart=on-abnormal": "the clocks stay unlocked if the program is killed; its own errors would come again",
        "RestartSec=5": "the default of 100 ms is a busy loop",
        "ReadWritePaths=-/var/lib/nvpmodel": "nvpmodel keeps the mode there",
        **SANDBOX_OF_ROOT,
    },
    "Install": {
        "WantedBy=ishowtts.service":
            "a start of the service also locks the clocks; not Wants= there: `systemctl disable` would have no effect",
    },
}  # fmt: skip

REPAIR_PATH: Reasons = {
    "Unit": {
        "Description=iShowTTS: waits for the daemon's request to lock the clocks again": "`systemctl status` shows it",
        "ConditionPathExists=/etc/nv_tegra_release": "other machines have no clocks to lock",
        "BindsTo=ishowtts-clocks.service": "a request would have an effect after the operator stopped that unit",
    },
    "Path": {
        "PathChanged=/run/ishowtts/clocks-requested": "nobody hears the daemon's request",
        "Unit=ishowtts-clocks-repair.service": "it starts the repair",
    },
    "Install": {
        "WantedBy=ishowtts-clocks.service": "`systemctl enable` starts it with the clocks",
    },
}

REPAIR: Reasons = {
    "Unit": {
        "Description=iShowTTS: locks the Jetson's clocks again when unlocked": "`systemctl status` shows it",
        "ConditionPathExists=/run/ishowtts-clocks/store": "clocks that nobody locked would be locked",
        "StartLimitIntervalSec=600": "within the default of 10 s no start would count",
        "StartLimitBurst=10": "a daemon that was taken over could keep root busy",
    },
    "Service": {
        "Type=oneshot": "further requests during the repair would start another one",
        f"ExecStart={PROGRAM} clocks repair --config {CONFIG}": "it never changes the power mode",
        "TimeoutStartSec=150": "a oneshot unit has no limit: a stuck jetson_clocks would end all further repairs",
        **SANDBOX_OF_ROOT,
    },
}

GATEWAY: Reasons = {
    "Unit": {
        "Description=iShowTTS: web page, API, metrics and speech of appliances": "`systemctl status` shows it",
        f"Documentation=file:{CONFIG}": "`systemctl help` leads to the configuration",
        "StartLimitIntervalSec=0": "after five starts within 10 s systemd leaves the gateway dead for ever",
    },
    "Service": {
        "Type=notify": "`systemctl start` returns when the page answers, and the watchdog needs it",
        "NotifyAccess=main": "only the gateway speaks for itself",
        f"ExecStart={PROGRAM} gateway --config {CONFIG}": "it starts the gateway that install.sh installed",
        "User=ishowtts-gateway": "without it the gateway runs as root; as ishowtts it could read the lines on disk",
        "Group=ishowtts-gateway": "it would be in the group of the daemon, which may read its folders",
        "Environment=PYTHONUNBUFFERED=1": "an unbuffered log has the last message before a crash",
        "LogRateLimitIntervalSec=30": "the burst would hold for the interval of the machine's journald.conf",
        "LogRateLimitBurst=1000": "a flood of messages replaces the journal of the whole machine within an hour",
        "SyslogLevel=warning": "the last words of a crash are lost if a flood of messages came just before",
        "WatchdogSec=30": "a gateway that hangs stays away until a person restarts it",
        "TimeoutStartSec=60": "the limit would depend on the distribution's default",
        "TimeoutStopSec=10": "the gateway ends within 5 s; a shutdown must not wait for 90 s",
        "Restart=always": "a gateway that crashed stays away, and so does one that a signal ended with success",
        "RestartSec=2": "the default of 100 ms is a busy loop",
        "RestartPreventExitStatus=2": "a wrong configuration is the same after a restart",
        "MemoryMax=1G": "a leak would take the memory of the daemon, which shares it with the GPU",
        "TasksMax=64": "it has a few threads and no child",
        "NoNewPrivileges=yes": "a setuid program would give privileges back",
        "CapabilityBoundingSet=": "no capability can be regained",
        "AmbientCapabilities=": "no capability is inherited",
        "ProtectSystem=strict": "it writes nothing",
        "ProtectHome=yes": "the homes of people are out of reach",
        "PrivateTmp=yes": "files of other users in /tmp are out of reach",
        "PrivateDevices=yes": "sound, GPU and disks are out of reach",
        "PrivateUsers=yes": "other users, and root, do not exist for it",
        "PrivateMounts=yes": "no mount gets out of its namespace",
        "InaccessiblePaths=-/var/lib/ishowtts -/var/cache/ishowtts": "voices and weights are open to every user",
        "ProtectProc=invisible": "the processes of other users are hidden",
        "ProtectKernelTunables=yes": "/sys and /proc/sys are read-only",
        "ProtectKernelModules=yes": "no module can be loaded",
        "ProtectKernelLogs=yes": "the kernel's log is out of reach",
        "ProtectControlGroups=yes": "the limits of the unit cannot be lifted from within",
        "ProtectClock=yes": "the clock cannot be set",
        "ProtectHostname=yes": "the host name cannot be set",
        "LockPersonality=yes": "no other ABI can be chosen",
        "MemoryDenyWriteExecute=yes": "code that comes in over the network cannot be run; nothing here makes code",
        "RestrictSUIDSGID=yes": "no setuid file can be left behind",
        "RestrictNamespaces=yes": "user namespaces are a common way to a kernel bug",
        "RestrictRealtime=yes": "a real-time thread could keep all others from running",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK":
            "the journal, browsers and the broker over both IP versions, name resolution; nothing else",
        "SystemCallArchitectures=native": "32-bit system calls get around a filter",
        "SystemCallFilter=@system-service": "mount, reboot and the like are out of reach",
        "SystemCallFilter=~@privileged @resources": "it changes no owner, no priority and no limit",
        "SystemCallErrorNumber=EPERM": "the default kills the gateway at a library's harmless attempt",
        "KeyringMode=private": "keys of root's session are out of reach",
        "RemoveIPC=yes": "nothing stays allocated after its end",
        "UMask=0077": "files would be readable for every user",
    },
    "Install": {
        "WantedBy=multi-user.target": "`systemctl enable` starts it at boot",
    },
}  # fmt: skip

UNITS = {
    "ishowtts.service": SERVICE,
    "ishowtts-gateway.service": GATEWAY,
    "ishowtts-clocks.service": CLOCKS,
    "ishowtts-clocks-repair.path": REPAIR_PATH,
    "ishowtts-clocks-repair.service": REPAIR,
}
DROP_INS: dict[str, dict[str, str]] = {
    "restart-delay.conf": {
        "RestartSteps=5": "a crash at each start would take a core every 2 s, for ever",
        "RestartMaxDelaySec=20": "the delay would not grow; a longer one is silence after a rare crash, months later",
    },
    "jetson-stats.conf": {"SupplementaryGroups=jtop": "jetson-stats answers its group alone"},
}
"""Those that install.sh adds where the device has what they need."""

SECRETS = [
    "mqtt-username", "mqtt-password", "mqtt-tls-key", "gateway-mqtt-username", "gateway-mqtt-password", "gateway-token",
]  # fmt: skip


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


@pytest.mark.parametrize("name", DROP_INS)
def test_a_drop_in_of_the_device_has_each_directive_with_its_reason(name: str) -> None:
    assert directives(ROOT / "systemd" / name) == [("Service", line) for line in DROP_INS[name]]


def test_there_is_a_table_for_each_file() -> None:
    files = {path.name for path in (ROOT / "systemd").iterdir() if path.is_file()}
    assert files == {*UNITS, *DROP_INS, *(f"{name}.conf" for name in SECRETS)}


def test_the_service_may_write_where_the_default_configuration_writes() -> None:
    defaults = config.Config()
    assert Path("/var/lib", value("ishowtts.service", "StateDirectory")) == defaults.state_dir
    assert Path("/var/cache", value("ishowtts.service", "CacheDirectory")) == defaults.cache_dir
    assert Path(CONFIG) == config.DEFAULT_PATH


@pytest.mark.parametrize(
    ("unit", "key"),
    [
        ("ishowtts.service", "ExecStart"),
        ("ishowtts-gateway.service", "ExecStart"),
        ("ishowtts-clocks.service", "ExecStart"),
        ("ishowtts-clocks-repair.service", "ExecStart"),
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


def test_the_clocks_are_restored_even_if_the_configuration_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = value("ishowtts-clocks.service", "ExecStopPost").split()
    assert program == PROGRAM
    wrong = tmp_path / "config.yaml"
    wrong.write_text("no_such_key: 1\n")
    words = [str(wrong) if word == CONFIG else word for word in words]
    assert main([*words, "--store", str(tmp_path / "store")]) != 2
    assert "the configuration is not used: " in capsys.readouterr().err


def test_the_units_and_the_program_agree_on_the_files_of_the_clocks() -> None:
    folder = Path("/run", value("ishowtts-clocks.service", "RuntimeDirectory"))
    assert value("ishowtts-clocks-repair.service", "ConditionPathExists") == str(STORE)
    assert STORE.parent == folder
    assert value("ishowtts-clocks.service", "SuccessExitStatus") == str(OTHER_MODE)
    assert Path(value("ishowtts-clocks-repair.path", "PathChanged")) == Path(
        "/run", value("ishowtts.service", "RuntimeDirectory"), REQUEST_FILE
    )


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A root folder in which the units find their program."""
    program = tmp_path / "opt/ishowtts/current/bin/ishowtts"
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


def test_no_unit_waits_for_a_network_or_for_a_unit_that_does() -> None:
    """Neither by name nor through another unit: that of mosquitto waits for a network."""
    for unit in UNITS:
        for _, line in directives(ROOT / "systemd" / unit):
            key, _, units = line.partition("=")
            if key in {"After", "Wants", "Requires", "Requisite", "BindsTo", "PartOf"}:
                assert set(units.split()) <= {
                    "nvpmodel.service", "sound.target", "modprobe@snd.service", "modprobe@drm.service",
                    "ishowtts.service", "ishowtts-clocks.service",
                }, unit  # fmt: skip


def test_a_reload_sends_the_signal_that_the_daemon_understands() -> None:
    program, *words = value("ishowtts.service", "ExecReload").split()
    assert words == ["-HUP", "$MAINPID"]
    assert Path(program).exists()


def test_nothing_waits_until_the_clocks_are_locked() -> None:
    """A driver may be late for minutes: the daemon speaks in the meantime, and the boot ends."""
    for unit in UNITS:
        orders = [line for _, line in directives(ROOT / "systemd" / unit) if line.startswith(("After=", "Before="))]
        assert not [line for line in orders if "ishowtts" in line], unit
