"""The file of the token, sessions, and the limit of wrong tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.errors import ConfigError
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.session_token import SESSION_S, SessionKey, TokenCheck, read_token

TOKEN = "0123456789abcdef0123"


def settings_of(path: Path | None) -> Config:
    return Config.model_validate({"gateway": {"http": {"token_file": path}}})


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_token_is_read_from_its_file_or_from_the_credential(tmp_path: Path) -> None:
    path = written(tmp_path, f"{TOKEN}\r\n".encode(), 0o640)
    assert read_token(settings_of(None), None) is None
    assert read_token(settings_of(None), tmp_path) is None
    assert read_token(settings_of(path), None) == TOKEN
    credential = tmp_path / "gateway-token"
    credential.write_text("another token of the service")
    credential.chmod(0o400)
    with pytest.raises(ConfigError, match="visible ASCII"):
        read_token(settings_of(path), tmp_path)
    credential.chmod(0o600)
    credential.write_text("another-token-of-the-service")
    assert read_token(settings_of(path), tmp_path) == "another-token-of-the-service"


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"short", 0o600, "shorter than 16 characters"),
        (b"0123456789 abcdef", 0o600, "visible ASCII"),
        (b"0123456789abcdef\nmore", 0o600, "visible ASCII"),
        ("\u00e4".encode() * 20, 0o600, "visible ASCII"),
        (b"\x00" * 20, 0o600, "visible ASCII"),
        (b"x" * 300, 0o600, "at most 256"),
        (b"x" * 5000, 0o600, "larger than 4096 bytes"),
        (TOKEN.encode(), 0o644, "chmod o= "),
        (TOKEN.encode(), 0o602, "chmod o= "),
    ],
)
def test_a_bad_token_file_is_one_sentence(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    path = written(tmp_path, content, mode)
    with pytest.raises(ConfigError) as refused:
        read_token(settings_of(path), None)
    (problem,) = refused.value.problems
    assert says in problem
    assert problem.startswith("gateway.http.token_file: ")
    assert "0123456789" not in problem


def test_a_token_file_that_is_not_there_is_not_shown_if_it_may_be_the_token() -> None:
    with pytest.raises(ConfigError, match=r"create /nowhere/token, or fix gateway\.http\.token_file"):
        read_token(settings_of(Path("/nowhere/token")), None)
    with pytest.raises(ConfigError) as refused:
        read_token(settings_of(Path(TOKEN)), None)
    assert TOKEN not in str(refused.value)
    assert "write the token into a file, and the full path" in str(refused.value)


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(settings_of(tmp_path), None)


def test_a_session_holds_until_its_end_and_for_its_token_only() -> None:
    now_s = 1_000_000.0
    key = SessionKey(TOKEN, lambda: now_s)
    session = key.new_session()
    assert key.is_session(session)
    assert not SessionKey(f"{TOKEN}4", lambda: now_s).is_session(session)
    end, _, rest = session.partition(".")
    assert not key.is_session(f"{int(end) + 1}.{rest}")
    assert not key.is_session(session[:-1] + ("0" if session[-1] != "0" else "1"))
    now_s += SESSION_S + 1
    assert not key.is_session(session)
    now_s = 0  # a board without a battery begins in 1970
    assert not key.is_session(session)
    assert SessionKey(TOKEN, lambda: 1_000_000.0).is_session(session)  # after a restart


def statuses(check: TokenCheck, group: str, offered: str, count: int) -> list[int]:
    found = []
    for _ in range(count):
        try:
            check.check(offered, group)
            found.append(200)
        except GatewayError as error:
            found.append(error.status)
    return found


def test_an_address_may_be_wrong_ten_times_and_then_once_in_six_seconds() -> None:
    now_s = 0.0
    check = TokenCheck(SessionKey(TOKEN), lambda: now_s)
    assert statuses(check, "192.0.2.1", "wrong", 12) == [401] * 10 + [429] * 2
    assert statuses(check, "192.0.2.1", TOKEN, 1) == [429]  # it is not even compared
    assert statuses(check, "192.0.2.2", TOKEN, 20) == [200] * 20
    now_s = 6.1
    assert statuses(check, "192.0.2.1", TOKEN, 1) == [200]


def test_many_addresses_together_may_be_wrong_100_times_and_do_not_lock_out_who_was_right() -> None:
    check = TokenCheck(SessionKey(TOKEN), lambda: 0.0)
    assert statuses(check, "192.0.2.7", TOKEN, 1) == [200]
    found = [statuses(check, f"2001:db8:0:{number:x}::/64", "wrong", 1)[0] for number in range(2000)]
    assert found == [401] * 100 + [429] * 1900
    assert statuses(check, "198.51.100.1", TOKEN, 1) == [429]
    assert statuses(check, "192.0.2.7", TOKEN, 1) == [200]
