"""The files of the certificate: what is wrong with them, and their renewal."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from ishowtts.errors import ConfigError
from ishowtts_gateway.http.tls_certificate import TlsCertificate
from support.certificates import Authority
from support.served_app import ServedApp


def test_files_that_are_no_certificate_are_one_sentence(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.cert("page"), authority.key("page")
    garbage = tmp_path / "garbage"
    garbage.write_text("no certificate")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:1234", "-in", key, "-out", locked],
        check=True,
        capture_output=True,
    )
    for files, says in (
        ((cert, authority.key("other")), "is not the key of the certificate"),
        ((cert, garbage), "must be a certificate and its key in PEM"),
        ((garbage, key), "must be a certificate and its key in PEM"),
        ((key, cert), "must be a certificate and its key in PEM"),
        ((tmp_path / "none", key), "none cannot be read (No such file"),
        ((cert, tmp_path), "cannot be read (it is not a regular file)"),
        ((cert, locked), "has a passphrase; store it without one"),
    ):
        with pytest.raises(ConfigError) as refused:
            TlsCertificate(*files)
        assert says in str(refused.value)
        assert str(refused.value).startswith("gateway.http.tls")


def certificate_of(app: ServedApp, authority: Authority) -> bytes | None:
    context = ssl.create_default_context(cafile=authority.ca)
    with app.raw() as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        return client.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cert, key = tmp_path / "cert", tmp_path / "key"

    def install(name: str, key_name: str) -> None:
        shutil.copy(authority.cert(name), cert)
        shutil.copy(authority.key(key_name), key)

    install("page", "page")
    tls = TlsCertificate(cert, key)
    with ServedApp(tls=tls) as app:
        first = certificate_of(app, authority)
        app.run(tls.renew)
        assert caplog.text == ""
        install("other", "page")
        app.run(tls.renew)
        assert "the new certificate is not used: gateway.http.tls: " in caplog.text
        assert certificate_of(app, authority) == first
        key.unlink()
        app.run(tls.renew)
        assert certificate_of(app, authority) == first
        install("other", "other")
        app.run(tls.renew)
        assert "the certificate was loaded again" in caplog.text
        assert certificate_of(app, authority) not in (None, first)
