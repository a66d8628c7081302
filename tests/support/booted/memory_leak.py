"""A leak in the worker of the natural voice, which a test begins: its memory grows until the kernel ends a process."""

from __future__ import annotations

LEAK_MB = 600
FOLDER = "/opt/leak"
TRIGGER = "/var/lib/ishowtts/state/leak"
"""When this file appears, the worker removes it and leaks. So the next worker does not leak."""

SITE = f'''
import sys

if "ishowtts.engines.worker.worker_main" in sys.orig_argv:
    import os, threading, time

    def leak():
        while True:
            time.sleep(0.05)
            if os.path.exists("{TRIGGER}"):
                os.unlink("{TRIGGER}")
                held = [os.urandom(1 << 20) for _ in range({LEAK_MB})]

    threading.Thread(target=leak, name="leak", daemon=True).start()
'''
"""The module `sitecustomize` of `FOLDER`, which Python imports at its start."""

DROP_IN = f"[Service]\nEnvironment=PYTHONPATH={FOLDER}\n"
