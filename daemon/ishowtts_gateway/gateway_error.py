"""The error of the gateway: one sentence for a person, and the status of HTTP that belongs to it."""

from __future__ import annotations

from ishowtts.errors import IShowError


class GatewayError(IShowError):
    """A request cannot be fulfilled.

    Args:
        status: 400 bad request, 403 not allowed, 404 no such device, 409 a voice of that name exists, 413 too large,
            429 too many, 502 the broker or the appliance refused, 503 no broker, 504 no answer.
        sentence: What is wrong, and the fix.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class PublishRefused(GatewayError):
    """The broker does not take a message.

    Args:
        code: The reason code of its PUBACK. 0x87 means that its ACL forbids it.
    """

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(502, sentence)
        self.code = code

    @property
    def forbidden(self) -> bool:
        """Whether the ACL of the broker forbids the message."""
        return self.code == NOT_AUTHORIZED


NOT_AUTHORIZED = 0x87
