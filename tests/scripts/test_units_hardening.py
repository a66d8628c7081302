"""The units for every supported version of systemd, and what is left of their exposure, as the docs explain it."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from support.unit_files import UNITS, directives

PAGE = UNITS.parent / "docs/operations.md"
OLDEST = 249
"""Of Ubuntu 22.04, and so of JetPack 6."""

SINCE = {
    230: "StartLimitBurst StartLimitIntervalSec",
    231: "InaccessiblePaths MemoryDenyWriteExecute MemoryMax ReadWritePaths RestrictRealtime",
    232: "PrivateUsers ProtectControlGroups ProtectKernelModules ProtectKernelTunables ProtectSystem RemoveIPC",
    233: "RestrictNamespaces",
    235: "CacheDirectory CacheDirectoryMode ConfigurationDirectory KeyringMode LockPersonality "
    "RuntimeDirectoryPreserve StateDirectory StateDirectoryMode",
    239: "PrivateMounts SystemCallFilter",
    240: "LogRateLimitBurst LogRateLimitIntervalSec Type",
    242: "ProtectHostname RestrictSUIDSGID",
    243: "OOMPolicy",
    244: "ProtectKernelLogs",
    245: "ProtectClock",
    247: "LoadCredential ProtectProc",
    254: "RestartMaxDelaySec RestartSteps",
}
"""The version in which a directive, or the newest value of it that we use, came; from the manual pages of systemd."""

ALWAYS = """
After AmbientCapabilities BindsTo CapabilityBoundingSet ConditionPathExists Description DeviceAllow DevicePolicy
Documentation Environment ExecReload ExecStart ExecStopPost Group KillMode NoNewPrivileges NotifyAccess PartOf
PathChanged
PrivateDevices PrivateNetwork PrivateTmp ProtectHome RemainAfterExit Restart RestartPreventExitStatus RestartSec
RestrictAddressFamilies RuntimeDirectory RuntimeDirectoryMode SuccessExitStatus SupplementaryGroups SyslogLevel
SystemCallArchitectures SystemCallErrorNumber TasksMax TimeoutStartSec TimeoutStopSec UMask Unit User WantedBy
Wants WatchdogSec
"""
"""Those of version 229 and before."""

HARDENED = {
    "ishowtts.service": ("daemon", 17),
    "ishowtts-gateway.service": ("gateway", 11),
    "ishowtts-clocks.service": ("clocks", 18),
    "ishowtts-clocks-repair.service": ("clocks", 18),
}
"""Each service with its name in the docs and ten times its exposure, as systemd 252 sees it."""


@pytest.mark.parametrize("file", sorted(path.name for path in UNITS.iterdir() if path.is_file()))
def test_every_supported_systemd_knows_each_directive(file: str) -> None:
    since = {name: version for version, names in SINCE.items() for name in names.split()}
    used = {line.partition("=")[0] for _, line in directives(UNITS / file)}
    unknown = used - since.keys() - set(ALWAYS.split())
    assert unknown == set(), "give each directive the version of systemd that brought it"
    too_new = {name for name in used if since.get(name, 0) > OLDEST}
    # install.sh adds this file by the version of systemd.
    assert too_new == ({"RestartSteps", "RestartMaxDelaySec"} if file == "restart-delay.conf" else set())


def exposure(unit: str) -> dict[str, str]:
    """Each point that is left, with its weight. Points without a weight do not count."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--json=short", UNITS / unit],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {row["name"]: row["exposure"] for row in json.loads(done.stdout) if not row["set"] and row["exposure"]}


@pytest.mark.parametrize("unit", HARDENED)
def test_the_docs_say_what_each_point_of_the_exposure_is_for(unit: str) -> None:
    role, _ = HARDENED[unit]
    page = PAGE.read_text()
    rows = re.findall(r"^\| `([^`]+)` \| ([\d.]+) \| ([a-z, ]+) \| .{20,} \|$", page, re.MULTILINE)
    documented = {name.replace("\\|", "|"): weight for name, weight, roles in rows if role in roles.split(", ")}
    assert documented == exposure(unit)


@pytest.mark.parametrize("unit", HARDENED)
def test_the_exposure_does_not_grow(unit: str) -> None:
    tenths = HARDENED[unit][1]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", UNITS / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    page = PAGE.read_text()
    assert f"| `{unit}` | {tenths / 10} |" in page
