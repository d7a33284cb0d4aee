"""No error about a connection shows a password."""

from __future__ import annotations

import traceback

import pytest

from pgpublish.database import connect
from pgpublish.errors import ConnectionFailed


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@hunter22@127.0.0.1:1/db",
        "postgresql://u:hun/ter22@127.0.0.1/db",
        "postgresql//u:hunter22@h",
        "postgres://u:%zzhunter22@h",
        "host=h password=my hunter22",
        "host=127.0.0.1 port=1 password='hunter22",
        "postgresql://u:hunter22@127.0.0.1:port/d",
        "postgresql://u:hunter22@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1/d?password=hunter22",
        "postgresql://127.0.0.1:1/d?hunter22=1",
        "mysql://u:hunter22@h/d",
        "postgresql://u:hunter22@[::1/d",
        "u:hunter22@h",
        "postgresql://u:hunter22\udcff@h/d",
    ],
)
def test_a_url_that_does_not_work_is_not_shown(url: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connect(url)
    error = caught.value
    shown = f"{error.message} {error.detail} {error.hint}" + "".join(
        traceback.format_exception(error)
    ).replace(repr(url), "").replace(url, "")
    assert "hunter22" not in shown
    assert "ter22" not in f"{error.message} {error.detail}"
    assert error.hint
