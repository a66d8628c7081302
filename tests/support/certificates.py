"""Certificates for brokers and clients of tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """An authority of its own: `ca.crt` in `folder`, and `<name>.crt`, `<name>.key` of whom it has issued one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.crt"
        self._openssl("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=authority of a test")
        (folder / "new.crt").rename(self.ca)
        (folder / "new.key").rename(folder / "ca.key")

    def cert(self, name: str) -> Path:
        """A certificate that was issued."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Its key."""
        return self.folder / f"{name}.key"

    def issue(self, name: str, *, days: int = 2, host: str = "IP:127.0.0.1") -> None:
        """Sign a certificate for a host; with `days` below 0 it has expired already."""
        self._openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-out", "new.csr")
        (self.folder / "extensions").write_text(f"subjectAltName={host}\n")
        self._openssl(
            "x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", str(days), "-extfile", "extensions", "-out", f"{name}.crt",
        )  # fmt: skip
        (self.folder / "new.key").rename(self.key(name))

    def _openssl(self, *arguments: str) -> None:
        if "-x509" in arguments:
            arguments += ("-out", "new.crt")
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "new.key")
