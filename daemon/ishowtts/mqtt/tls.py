"""TLS towards the broker: the context, and sentences for what goes wrong with certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from ishowtts.mqtt.mqtt_options import MqttOptions

Heard = Callable[[ssl.SSLError], None]

_NOT_YET_VALID, _EXPIRED = 9, 10  # OpenSSL's X509_V_ERR numbers
_OTHER_NAMES = {62, 63, 64}
_ALERTS = {
    "CERTIFICATE_REQUIRED": "wants a certificate of ours; set mqtt.tls.cert and mqtt.tls.key",
    "UNKNOWN_CA": "does not know who signed our certificate; mqtt.tls.cert must be of an authority that it trusts",
    "CERTIFICATE_EXPIRED": "says that our certificate has expired; renew the one in mqtt.tls.cert",
}


def make_context(options: MqttOptions, heard: Heard) -> ssl.SSLContext:
    """A context with the files of `mqtt.tls`.

    Args:
        heard: told of what the broker says against us once the connection stands.

    Raises:
        ValueError: the files cannot be used; the sentence names them.
    """
    ca, cert, key = options.tls_files()
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        # Neither ssl nor the system says which file it was about.
        names = ", ".join(name for name in (ca, cert, key) if name is not None)
        raise ValueError(f"{names}: {error}") from error

    class Socket(_Socket):
        on_refusal = staticmethod(heard)

    context.sslsocket_class = Socket
    return context


def distrust(error: ssl.SSLError | ConnectionResetError, broker: str) -> str:
    """Why we do not trust the broker, and the mend."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "reason", None) or error.strerror
        return f"{broker} offers no TLS ({why}); see mqtt.port, and mqtt.tls where it has none"
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return f"the certificate of {broker} {when}; renew it, or set the clock of this machine"
    if error.verify_code in _OTHER_NAMES:
        return f"the certificate of {broker} is for another host; mqtt.host must be a name that stands in it"
    return (
        f"the certificate of {broker} is of no authority that we trust ({error.verify_message}); "
        "mqtt.tls.ca must be the file of the one that signed it"
    )


def refusal(error: ssl.SSLError | None, broker: str) -> str:
    """Why the broker does not trust us, where it closed the connection before it answered.

    Args:
        error: what it said; `None` where its closing was faster.
    """
    reason = "" if error is None else error.reason or str(error)
    for alert, sentence in _ALERTS.items():
        if alert in reason:
            return f"{broker} {sentence}"
    said = f" ({reason})" if reason else ""
    return (
        f"{broker} closes the connection as soon as it is made{said}; if it wants a certificate of ours, "
        "see mqtt.tls.cert and mqtt.tls.key"
    )


class _Socket(ssl.SSLSocket):
    """Tells what the other side says against us; TLS 1.3 does so only after the handshake."""

    on_refusal: Heard

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()  # paho would leave it to the garbage collector
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.on_refusal(error)
            raise


def _no_passphrase(*_: Any) -> str:
    # OpenSSL would ask for it at a terminal, and wait.
    raise ValueError("the key is locked with a passphrase; store it without one")
