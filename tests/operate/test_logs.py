"""What workers log: one line a subject each ten seconds, however much happens."""

import json

import pytest

from pgpublish.cli.logs import EVERY_S, Log


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_the_first_is_said_at_once_and_the_rest_as_sums(clock, capsys):
    logs = Log(as_json=True, clock=clock)
    for n in range(1, 1001):
        logs.report("s", {"sent": 10, "first_rev": n, "last_rev": n + 9, "reason": None})
        clock.now += EVERY_S / 1000
    (first,) = lines(capsys)
    assert (first["sent"], first.get("times")) == (10, None)
    clock.now += EVERY_S
    logs.report("s", {"sent": 1, "first_rev": 2000, "last_rev": 2000})
    (summed,) = lines(capsys)
    assert (summed["sent"], summed["times"]) == (9991, 1000)
    assert (summed["first_rev"], summed["last_rev"]) == (2, 2000)
    logs.flush()
    assert lines(capsys) == []


def test_subjects_do_not_hide_each_other_and_flush_says_the_rest(clock, capsys):
    logs = Log(as_json=True, clock=clock)
    for name in ("a", "b", "a", "b", "b"):
        logs.report(name, {"subscription": name, "sent": 1})
    assert [line["subscription"] for line in lines(capsys)] == ["a", "b"]
    logs.flush()
    assert [(line["subscription"], line["sent"]) for line in lines(capsys)] == [("a", 1), ("b", 2)]


def test_a_warning_that_comes_again_and_again_is_counted(clock, capsys):
    logs = Log(clock=clock)
    for _ in range(100):
        logs.warn("no\x1b[2J host")
    logs.flush()
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("no\\x1b[2J host")
    assert second.endswith("no\\x1b[2J host times=99")


def test_quiet_says_only_what_is_wrong(clock, capsys):
    logs = Log(quiet=True, clock=clock)
    logs.report("s", {"sent": 1})
    logs.warn("careful")
    logs.flush()
    assert capsys.readouterr().err.splitlines()[0].endswith("careful")
    assert capsys.readouterr().err == ""
