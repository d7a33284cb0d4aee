"""Settings: what counts, what is refused, and what a subscription that is behind holds back."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from helpers import drain_all, enqueue, one

from pgpublish import cli


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    db.execute("select publish_define('event', retention => '7 days')")
    return db


def set_to(db, name, value=None, kind=None):
    return one(db, "select publish_set(%s, %s, %s)", name, value, kind)


def refused(db, *arguments):
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        set_to(db, *arguments)
    return error.value.sqlstate


def test_that_of_the_kind_counts_then_that_of_the_installation_then_the_default(db):
    value = "select publish.setting_of('tombstone_retention', 'note')"
    assert one(db, value) == "30 days"
    assert set_to(db, "tombstone_retention", " 1 month ") == "1 mon"
    assert set_to(db, "tombstone_retention", "7 days", "note") == "7 days"
    assert one(db, value) == "7 days"
    db.execute("select publish_define('note', retention => '1 year')")
    assert one(db, value) == "7 days", "defining again leaves it"
    assert set_to(db, "tombstone_retention", None, "note") == "1 mon"
    assert set_to(db, "tombstone_retention") == "30 days"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("tombstone_retention", "-1 s", None),
        ("tombstone_retention", "1001 years", None),
        ("tombstone_retention", "infinity", None),
        ("tombstone_retention", "a while", None),
        ("tombstone_retention", "30", None),  # seconds, to PostgreSQL
        ("tombstone_retention", " 7.5", "event"),
        ("tombstone_retention", "", None),
        ("inbox_retention", "91 days", None),
        ("inbox_retention", "0", None),
        ("drain_log_rows", "999", None),
        ("drain_log_rows", "1e5", None),
        ("drain_log_rows", "99999999999999999999", None),
        ("max_payload", "129MB", None),
        ("max_payload", "large", None),
        ("max_payload", "10 kB", "note"),
        ("max_depth", "1001", None),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_where_it_is_given(db, name, value, kind):
    before = db.execute("select * from publish_settings()").fetchall()
    assert refused(db, name, value, kind) == "PT400"
    assert db.execute("select * from publish_settings()").fetchall() == before


def test_what_is_not_there_is_not_found(db):
    assert refused(db, "retention", "1 day") == "PT404"
    assert refused(db, "tombstone_retention", "1 day", "none") == "PT404"


def test_every_default_is_within_its_bounds(db):
    for name, default in db.execute(
        "select s.name, s.default_value from publish_settings() s where s.default_value is not null"
    ).fetchall():
        kind = one(db, "select case when scope = 'kind' then 'note' end from publish.setting"
                       " where name = %s", name)  # fmt: skip
        assert set_to(db, name, default, kind)


def test_a_message_is_forgotten_after_inbox_retention(db):
    left = "select expires_at - now() from publish.accepted where message_id = %s"
    set_to(db, "inbox_retention", "1 hour")
    db.execute("select publish_accept('c', 'm') as m, publish_accept('c', 'n', '2 hours') as n")
    assert 3590 < one(db, left, "m").total_seconds() <= 3600
    assert 7190 < one(db, left, "n").total_seconds() <= 7200


def test_nesting_deeper_than_max_depth_is_refused(db):
    set_to(db, "max_depth", "300")
    enqueue(db, "note", "1", "[" * 301 + "]" * 301)
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        enqueue(db, "note", "1", "[" * 302 + "]" * 302)
    assert error.value.sqlstate == "PT422"


def maintain(db):
    return db.execute("select rows_pruned, held from publish_maintain()").fetchone()


def log(db):
    return db.execute(
        "select rows_pruned, rows_forced, held from publish.maintenance"
        " order by maintenance_id desc limit 1"
    ).fetchone()


@pytest.fixture
def behind(db):
    """Subscription s has read nothing of two notes that were deleted, and of two old events."""
    db.execute("select publish_subscribe('s', 'stdout')")
    for n in "12":
        enqueue(db, "note", n, "1")
        enqueue(db, "event", n, "1")
    drain_all(db)
    for n in "12":
        enqueue(db, "note", n, deleted=True)
    drain_all(db)
    db.execute("update publish.published set updated_at = updated_at - interval '31 days'")
    return db


def test_the_floor_does_not_pass_a_subscription_that_lives(behind):
    held = [
        "old rows of event: subscription s is at rev 0",
        "old rows of note: subscription s is at rev 0",
    ]
    assert maintain(behind) == (0, held)
    assert log(behind) == (0, 0, held)
    behind.execute("select publish_pause('s')")
    assert maintain(behind)[0] == 0
    behind.execute("select publish_seek('s', 4)")
    assert maintain(behind) == (2, [held[1].replace("rev 0", "rev 4")])
    assert one(behind, "select floor from publish_status()") == 4


def test_a_subscription_of_another_kind_or_a_disabled_one_holds_nothing_back(behind):
    behind.execute("select publish_subscribe('s', 'stdout', kinds => '{event}')")
    assert maintain(behind) == (2, ["old rows of event: subscription s is at rev 0"])
    behind.execute("update publish.subscription set disabled_at = now(), disabled_reason = 'gone'")
    assert maintain(behind) == (2, [])


def test_what_is_held_back_of_one_kind_does_not_starve_another(behind):
    behind.execute("select publish_subscribe('s', 'stdout', kinds => '{event}')")
    assert one(behind, "select rows_pruned from publish_maintain(1)") == 1
    assert one(behind, "select rows_pruned from publish_maintain(1)") == 1


def test_past_hold_limit_it_is_pruned_all_the_same_and_the_log_says_so(behind):
    set_to(behind, "hold_limit", "32 days")
    assert maintain(behind)[0] == 0
    set_to(behind, "hold_limit", "30 days", "note")
    assert maintain(behind) == (2, ["old rows of event: subscription s is at rev 0"])
    assert log(behind)[:2] == (2, 2)
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        behind.execute("select publish_claim('s', 'w')")
    assert error.value.sqlstate == "PT410"


def test_a_first_sync_holds_no_tombstone_from_before_it(db):
    enqueue(db, "note", "1", "1")
    drain_all(db)
    enqueue(db, "note", "1", deleted=True)
    drain_all(db)
    db.execute("select publish_subscribe('s', 'stdout')")
    db.execute("update publish.published set updated_at = updated_at - interval '31 days'")
    assert maintain(db) == (1, [])


def test_the_logs_are_trimmed_as_the_settings_say(db):
    set_to(db, "maintenance_log_rows", "100")
    db.execute(
        "insert into publish.maintenance (duration, busy, slots_emptied, drains_trimmed,"
        " batches_trimmed, messages_forgotten, jobs_pruned, rows_pruned, rows_forced, held)"
        " select '0', false, 0, 0, 0, 0, 0, 0, 0, '{}' from generate_series(1, 150)"
    )
    enqueue(db, "note", "1", "1")
    drain_all(db)
    db.execute(
        "insert into publish.drain select d.drain_id + i, head, head, drained, null, null, 1, 1, 0,"
        " 1, 0, lag, duration, now() - interval '3 minutes'"
        " from publish.drain d, generate_series(1, 1100) i"
    )
    assert one(db, "select drains_trimmed from publish_maintain()") == 0
    set_to(db, "drain_log_rows", "1000")
    assert one(db, "select drains_trimmed from publish_maintain()") == 0
    set_to(db, "drain_log_retention", "2 minutes")
    db.execute("update publish.drain set at = now() - interval '3 minutes'")
    assert one(db, "select drains_trimmed from publish_maintain()") == 101
    assert one(db, "select count(*) from publish.maintenance") == 100


def test_a_slot_that_is_in_use_is_named_with_who_uses_it(db, connect):
    other = connect()
    old = "(floor(extract(epoch from clock_timestamp()) / 300)::bigint + 2) % 3"
    add = (
        "insert into publish.outbox (kind, source_ids, payload_no, payload, slot)"
        f" values ('note', array['1'], nextval('publish.payload_no'), '1', {old})"
    )
    db.execute(add.encode())
    slot = one(db, f"select {old}".encode())
    assert maintain(db)[1] == [f"slot {slot} of the outbox: there are marks to drain"]
    drain_all(db)
    db.execute("update publish.drain set at = at - interval '2 minutes'")
    with other.transaction(force_rollback=True):
        other.execute(add.encode())
        pid = other.info.backend_pid
        assert maintain(db)[1] == [f"slot {slot} of the outbox: process {pid} has locked it"]
    assert one(db, "select slots_emptied from publish_maintain()") == 1


def test_the_commands_set_and_list(db, url):
    def run(*arguments):
        return CliRunner().invoke(cli.main, ["--database-url", url, *arguments])

    assert run("set", "job_retention", "90 days").output == "job_retention is 90 days\n"
    done = run("set", "tombstone_retention", "1 day", "--kind", "note", "--json")
    assert json.loads(done.stdout)["value"] == "1 day"
    rows = [json.loads(line) for line in run("settings", "--json").stdout.splitlines()]
    told = {(row["name"], row["kind"]): row["value"] for row in rows}
    assert told["job_retention", None] == "90 days"
    assert told["tombstone_retention", "note"] == "1 day"
    assert run("set", "hold_limit", "--default").output == "hold_limit is not set\n"
    assert run("set", "job_retention", "soon").exit_code == 1
    assert run("set", "job_retention").exit_code == 2
