"""What tests share: small targets and golden text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected texts; read the diff")


@pytest.fixture(autouse=True, scope="session")
def checked_memory() -> None:
    """Every memory plan made in tests is proven by the checker, which shares no code with the planner."""
    from poplar_py import pipeline

    pipeline.OPTIONS["check_memory"] = True


@pytest.fixture
def tiny() -> Any:
    """A target of four tiles."""
    from poplar_py.target import Target

    return Target.tiny()


@pytest.fixture
def tiny16() -> Any:
    """A target of sixteen tiles."""
    from poplar_py.target import Target

    return Target.tiny(num_tiles=16)


class Golden:
    """Compares text with `tests/golden/<stage>/<case>.txt`."""

    def __init__(self, update: bool):
        self.update = update

    def check(self, stage: str, case: str, text: str) -> None:
        path = GOLDEN / stage / f"{case}.txt"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden text {path.relative_to(GOLDEN.parent)}; make it with --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{stage}/{case} changed; --update-golden if that is meant"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden.check(stage, case, text)`: the text is as it was written down."""
    return Golden(request.config.getoption("--update-golden"))
