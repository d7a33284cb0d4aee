"""docs/capture.md shows the body of one trigger function as it is made."""

import re
from pathlib import Path

from helpers import one

PAGE = Path(__file__).parents[2] / "docs" / "capture.md"


def test_the_page_shows_the_body_that_a_capture_gets(db):
    text = PAGE.read_text(encoding="utf-8")
    session, body = re.findall(r"```(?:sql|plpgsql)\n(.*?)```", text, re.DOTALL)
    db.execute(session.encode())
    made = one(db, "select p.prosrc from pg_proc p where p.proname = 'capture_1'")
    assert body.strip() == made.strip()
