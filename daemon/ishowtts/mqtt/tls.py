"""TLS to the broker: the SSL context, and sentences that explain certificate errors."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from ishowtts.mqtt.mqtt_options import MqttOptions

OnRefusal = Callable[[ssl.SSLError], None]

_NOT_YET_VALID, _EXPIRED = 9, 10  # OpenSSL's X509_V_ERR numbers
_OTHER_NAMES = {62, 63, 64}
_ALERTS = {
    "CERTIFICATE_REQUIRED": "wants a client certificate; set mqtt.tls.cert and mqtt.tls.key",
    "UNKNOWN_CA": "does not know who signed our certificate; an authority that it trusts must sign mqtt.tls.cert",
    "CERTIFICATE_EXPIRED": "says that our certificate has expired; renew the one in mqtt.tls.cert",
}


def make_context(options: MqttOptions, on_refusal: OnRefusal) -> ssl.SSLContext:
    """Build an SSL context from the files of `mqtt.tls`.

    Args:
        on_refusal: Called if the broker refuses us after the handshake.

    Raises:
        ValueError: the files cannot be used. The sentence names them.
    """
    ca, cert, key = options.tls_files()
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        # Neither ssl nor the system says which file is wrong.
        names = ", ".join(name for name in (ca, cert, key) if name is not None)
        raise ValueError(f"{names}: {getattr(error, 'strerror', None) or error}") from error

    class Socket(_Socket):
        refusal_handler = staticmethod(on_refusal)

    context.sslsocket_class = Socket
    return context


def untrusted_broker(error: ssl.SSLError | ConnectionResetError, broker: str) -> str:
    """The sentence that says why we do not trust the broker, and how to fix that."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "reason", None) or error.strerror
        return f"{broker} offers no TLS ({why}); see mqtt.port, and remove mqtt.tls if the broker has none"
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return f"the certificate of {broker} {when}; renew it, or set the clock of this machine"
    if error.verify_code in _OTHER_NAMES:
        return f"the certificate of {broker} is for another host; mqtt.host must be a name in it"
    return (
        f"the certificate of {broker} is not signed by an authority that we trust ({error.verify_message}); "
        "mqtt.tls.ca must be the file of the authority that signed it"
    )


def refused_by_broker(error: ssl.SSLError | None, broker: str) -> str:
    """The sentence that says why the broker does not trust us, if it closed the connection before it answered.

    Args:
        error: The broker's TLS alert; `None` if the connection closed before it came.
    """
    reason = "" if error is None else error.reason or str(error)
    for alert, sentence in _ALERTS.items():
        if alert in reason:
            return f"{broker} {sentence}"
    detail = f" ({reason})" if reason else ""
    return (
        f"{broker} closes the connection as soon as it is made{detail}; if it wants a client certificate, "
        "see mqtt.tls.cert and mqtt.tls.key"
    )


class _Socket(ssl.SSLSocket):
    """Reports the alert by which the broker refuses us. TLS 1.3 sends it only after the handshake."""

    refusal_handler: OnRefusal

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
            self.refusal_handler(error)
            raise
        except ConnectionResetError:
            if self.version() is None:
                self.close()  # reset before the handshake; ssl would leave it to the garbage collector
            raise


def _no_passphrase(*_: Any) -> str:
    # OpenSSL would ask for a passphrase at a terminal, and wait.
    raise ValueError("the key has a passphrase; store it without one")
