"""The machine in which the appliance is tested."""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.booted.machine import BootedMachine

pytestmark = pytest.mark.booted


def test_files_survive_a_power_cut_and_a_shutdown(machine: BootedMachine) -> None:
    machine.path("/root/kept").write_text("by the host")
    machine.path("/run/gone").write_text("in memory")
    machine.kill()
    assert not machine.is_up
    assert machine.path("/root/kept").read_text() == "by the host"
    machine.boot()
    assert machine.shell("cat /root/kept; ls /run/gone", check=False).stdout == "by the host"
    machine.reboot()
    assert machine.path("/root/kept").read_text() == "by the host"


def test_paths_are_those_of_the_machine(machine: BootedMachine) -> None:
    machine.shell("mkdir -p /srv/a/b && ln -s /srv/a /srv/link && ln -s ../a/b /srv/a/c && ln -s /nowhere /srv/a/b/end")
    assert machine.path("/srv/link/c/end").is_symlink()
    machine.path("/srv/link/c/new").write_text("here")
    assert machine.run("cat", "/srv/a/b/new").stdout == "here"


def test_commands_run_as_root_or_as_a_user(machine: BootedMachine) -> None:
    assert machine.run("id", "-un").stdout == "root\n"
    assert machine.user("id", "-un").stdout == "alice\n"
    assert machine.user("sudo", "cat", stdin="said").stdout == "said"
    with pytest.raises(AssertionError, match="status 3"):
        machine.shell("echo why; exit 3")
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run("sleep", "60", timeout_s=0.2)


def test_only_a_loopback_interface_is_there(machine: BootedMachine) -> None:
    assert machine.shell("ls /sys/class/net").stdout == "lo\n"


def test_the_network_of_the_host_is_reached_by_a_proxy_until_it_is_cut(base: Path, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("from the host")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    get = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
    with (
        BootedMachine(base, network=True) as machine,
        ThreadingHTTPServer(("127.0.0.2", 0), handler) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, name="server")
        thread.start()
        url = f"http://127.0.0.2:{server.server_port}/page"
        assert machine.run("python3", "-c", get, url).stdout == "from the host\n"
        machine.cut_network()
        assert machine.run("python3", "-c", get, url, check=False).returncode == 1
        server.shutdown()
        thread.join()
