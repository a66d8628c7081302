"""Where the gateway listens."""

import pytest
from pydantic import ValidationError

from ishowtts.config import Config


@pytest.mark.parametrize(
    ("http", "wyoming", "says"),
    [
        ("127.0.0.1:8770", "eth0", "an address or a network interface, and a port from 1 to 65535"),
        ("127.0.0.1:8770", "eth0:99999", "as in 192.168.1.20:10200 or eth0:10200"),
        ("127.0.0.1:8770", "[::]:10200", "must not be every address: Wyoming has no passwords"),
        ("127.0.0.1:8770", "127.0.0.1:8770", "both have port 8770"),
        ("0.0.0.0:10200", "eth0:10200", "both have port 10200"),
        ("127.0.0.1:8770", "192.0.2.1:8770", None),
        ("127.0.0.1:8770", "127.0.0.1:10200", None),
    ],
)
def test_wyoming_listens_on_one_address_with_a_port_of_its_own(http: str, wyoming: str, says: str | None) -> None:
    section = {"http": {"listen": http, "token_file": "token"}, "wyoming": {"listen": wyoming}}
    if says is None:
        assert Config.model_validate({"gateway": section}).gateway.wyoming.listen == wyoming
        return
    with pytest.raises(ValidationError, match=says):
        Config.model_validate({"gateway": section})
