"""Fixtures that several tests of the gateway use."""

from __future__ import annotations

import pytest

from support.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that has issued certificates for `page` and `other`."""
    made = Authority(tmp_path_factory.mktemp("tls") / "authority")
    made.issue("page")
    made.issue("other")
    return made
