"""The certificate of HTTPS, which is loaded again when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from ishowtts.errors import NamedFileError
from ishowtts.util.files import file_version, open_regular

log = logging.getLogger(__name__)

_KEY = "gateway.http.tls"
_CHECK_S = 60.0
_MAX_BYTES = 1_000_000


class TlsCertificate:
    """Certificate and key of the gateway.

    Args:
        cert, key: Files in PEM.

    Attributes:
        context: For the server. It has the newest certificate that could be loaded.

    Raises:
        NamedFileError: The files cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self._version = self._find_version()
        self.context = self._load()

    async def follow(self) -> None:
        """Loads the files again after they have changed, as a renewal does. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(_CHECK_S)
            self.renew()

    def renew(self) -> None:
        """Loads the files if they have changed. If they cannot be used, the earlier certificate stays."""
        version = self._find_version()
        if version == self._version:
            return
        self._version = version
        try:
            self._load()  # first into another context: a failure would leave ours with the new half of the pair
            self.context.load_cert_chain(self._cert, self._key, password=_no_passphrase)
        except (NamedFileError, OSError) as error:
            log.warning("the new certificate is not used: %s", error)
        else:
            log.info("%s: the certificate was loaded again", _KEY)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            for path in (self._cert, self._key):
                # OpenSSL does not say which file it cannot read.
                with open_regular(path, _MAX_BYTES):
                    pass
            context.load_cert_chain(self._cert, self._key, password=_no_passphrase)
        except ssl.SSLError as error:
            raise NamedFileError([f"{_KEY}: {self._why(error)}"]) from error
        except OSError as error:
            raise NamedFileError([f"{_KEY}: {path} cannot be read ({error.strerror})"]) from error
        except ValueError as error:
            raise NamedFileError([f"{_KEY}.key: {self._key} has a passphrase; store it without one"]) from error
        return context

    def _why(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{self._key} is not the key of the certificate {self._cert}"
        why = error.reason or error.strerror
        return f"{self._cert} and {self._key} must be a certificate and its key in PEM ({why})"

    def _find_version(self) -> str | None:
        """Returns a text that changes with the files; `None` if one is missing, as in the middle of a renewal."""
        try:
            return f"{file_version(self._cert)} {file_version(self._key)}"
        except OSError:
            return None


def _no_passphrase(*_: Any) -> str:
    # OpenSSL would ask for a passphrase at a terminal, and wait.
    raise ValueError("passphrase")
