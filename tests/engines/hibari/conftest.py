"""The natural voice, loaded once for all tests here that run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ishowtts.engines.hibari.hibari_package import HibariOptions, missing_package

if TYPE_CHECKING:
    from ishowtts.engines.hibari.hibari_engine import HibariEngine

# Where the natural voice is not installed, its modules cannot even be imported.
collect_ignore = [] if missing_package() is None else ["test_phonemizer.py", "test_hibari_engine.py"]


@pytest.fixture(scope="session")
def hibari_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HibariEngine]:
    from ishowtts.engines.hibari.hibari_engine import HibariEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIBARI_HOME", "")
        patch.setenv("ORT_DISABLE_TELEMETRY", "")
        engine = HibariEngine(HibariOptions(str(tmp_path_factory.mktemp("cache"))))
        engine.load(lambda _: None)
        engine.warm(lambda _: None)
        yield engine
        engine.close()
