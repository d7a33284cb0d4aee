"""The doctor names each fault that is planted here, and nothing on a healthy installation."""

import json
import re
import time
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from helpers import begin, doctor_checks, drain, drain_all, enqueue, one, until
from pooler import pooled

from pgpublish import cli
from pgpublish.doctor import doctor
from pgpublish.errors import BadArgument
from pgpublish.migrate import migrate

OLD_SLOT = "(floor(extract(epoch from clock_timestamp()) / 300)::bigint + 2) % 3"


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("create table item (id int primary key, v text)")
    db.execute("create view item_view as select id, v from item")
    db.execute("select publish_define('item', 'item_view')")
    db.execute("select publish_capture('item', 'item')")
    db.execute("select publish_define('note')")
    db.execute("insert into item values (1, 'a')")
    enqueue(db, "note", "1", "1")
    drain_all(db)
    return db


def names(db, old="15 minutes"):
    found = db.execute("select * from publish_doctor(%s)", [old]).fetchall()
    assert all(f.severity in ("error", "warning") and f.object and f.problem and f.fix
               for f in found), found  # fmt: skip
    return {f.name for f in found}


def test_a_healthy_installation_is_clean(db, url):
    db.execute("select publish_subscribe('s', 'stdout')")
    db.execute("select publish_claim('s', 'w')")
    db.execute("select publish_settle(max(token)) from publish.batch")
    assert names(db) == set()
    result = CliRunner().invoke(cli.main, ["--database-url", url, "doctor"])
    assert (result.exit_code, result.stdout) == (0, ""), result.output


SUBSCRIBE = "select publish_subscribe('s', 'stdout')"
FAULTS = {
    "publishing_off": "select publish_set('publishing', 'off', 'note')",
    "nobody_drains": "insert into item values (2, 'a');"
                     "update publish.outbox set enqueued_at = now() - interval '20 minutes';"
                     "update publish.drain set at = now() - interval '20 minutes'",
    "lag": "insert into item values (2, 'a');"
           "update publish.outbox set enqueued_at = now() - interval '20 minutes'",
    "depth": "select publish_set('depth_warning', '1', 'note');"
             "select publish_enqueue('note', '2', '1')",
    "quarantine": "insert into publish.deferred (due_at, reason, kind, source_id, sqlstate,"
                  " message) values (now(), 'failed', 'item', 'x', '22012', 'division by zero')",
    "walk": "insert into publish.walk (kind, reason, attempts, message)"
            " values ('item', 'asked for', 3, 'division by zero')",
    "payload_clock": "select setval('publish.payload_no',"
                     " publish.microseconds(now() + interval '1 hour'))",
    "held": "insert into publish.maintenance (duration, busy, slots_emptied, drains_trimmed,"
            " batches_trimmed, messages_forgotten, jobs_pruned, rows_pruned, rows_forced, held)"
            " values ('0', false, 0, 0, 0, 0, 0, 0, 0, '{subscription s is behind}')",
    "forced": "insert into publish.maintenance (duration, busy, slots_emptied, drains_trimmed,"
              " batches_trimmed, messages_forgotten, jobs_pruned, rows_pruned, rows_forced, held)"
              " values ('0', false, 0, 0, 0, 0, 0, 1, 1, '{}')",
    "not_maintained": "insert into publish.outbox (kind, source_ids, enqueued_at, slot) values"
                      f" ('item', '{{1}}', now() - interval '25 minutes', {OLD_SLOT});"
                      "select publish_drain()",
    "dead_letters": SUBSCRIBE + ";select publish_claim('s', 'w');"
                    "insert into publish.parked (subscription_id, pub_id, lane, rev, class,"
                    " message, attempts) select s.subscription_id, gen_random_uuid(), 0, 1,"
                    " 'rejected', 'no', 1 from publish.subscription s",
    "paused": SUBSCRIBE + ";select publish_pause('s')",
    "disabled": SUBSCRIBE + ";update publish.subscription set disabled_at = now(),"
                " disabled_reason = 'HTTP 410'",
    "reset_needed": SUBSCRIBE + ";insert into publish.floor (kind, floor, pruned)"
                    " values ('note', 1000, 1);"
                    "update publish.subscription set base = 0",
    "endpoint_failing": SUBSCRIBE + ";select publish_claim('s', 'w');"
                        "update publish.batch set settled_at = now(), fresh_failures = 3,"
                        " fresh_due_at = now() + interval '1 minute', lease_until = null"
                        " where token = (select max(token) from publish.batch)",
    "fault": SUBSCRIBE + ";select publish.report_fault('s', 'no module named redis')",
    "nobody_delivers": SUBSCRIBE + ";update publish.published"
                       " set updated_at = now() - interval '1 hour'",
    "undefined_kind": SUBSCRIBE + ";update publish.subscription set kinds = '{note,nothing}'",
    "jobs_given_up": "select publish_job_add('j', 'k'); select publish_job_cancel('j')",
    "delivery_lag": "select publish_subscribe('s', 'stdout', lease => '1 day');"
                    "select publish_claim('s', 'w');update publish.published"
                    " set updated_at = now() - interval '1 hour'",
    "nobody_works": "select publish_job_add('j', 'k', run_at => now() - interval '1 hour')",
    "capture": "alter table item disable trigger user",
    "autovacuum": "alter table publish.published set (autovacuum_enabled = false)",
    "setting": "set statement_timeout = '1s'",
    "invalid_index": "update pg_index set indisvalid = false"
                     " where indexrelid = 'publish.published_pub_id_idx'::regclass",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_it_names_what_is_planted(db, fault):
    for statement in FAULTS[fault].split(";"):
        db.execute(statement.encode())
    found = names(db)
    assert fault in found
    assert found <= {fault, "nobody_delivers"} | ({"capture"} if fault == "walk" else set())


@pytest.mark.parametrize(
    "setting",
    ["synchronous_commit = off", "default_transaction_read_only = on",
     "default_transaction_isolation = 'repeatable read'",
     "session_replication_role = replica"],
)  # fmt: skip
def test_it_names_settings_that_lose_or_refuse_something(db, setting):
    db.execute(f"set {setting}".encode())
    assert "setting" in names(db)


def fixes(db, name):
    rows = db.execute("select fix from publish_doctor('0 s') where name = %s", [name]).fetchall()
    return [fix for (fix,) in rows]


def test_who_drained_and_did_not_commit_is_named_and_can_be_ended(db, connect):
    other = connect(autocommit=False)
    enqueue(db, "note", "2", "1")
    other.execute("select publish_drain()")
    (fix,) = fixes(db, "nobody_drains")
    assert fix == f"End it: select pg_terminate_backend({other.info.backend_pid})"
    db.execute("update publish.drain set at = now() - interval '20 minutes'")
    warned = "select w.message, w.hint from publish.warnings() w where w.about = 'drain'"
    ((message, hint),) = db.execute(warned).fetchall()
    assert str(other.info.backend_pid) in message
    db.execute(hint.encode())
    until(lambda: drain(db).published == 1)


def test_a_walk_that_nobody_does_is_named_though_no_mark_waits(db):
    db.execute("truncate item")
    db.execute("update publish.drain set at = at - interval '20 minutes'")
    assert names(db) == set()
    db.execute("update publish.walk set requested_at = requested_at - interval '20 minutes'")
    assert names(db) == {"nobody_drains"}
    drain_all(db)
    assert names(db) == set()


def test_it_does_not_wait_for_who_has_locked_a_table_but_names_them(db, connect):
    other = connect(autocommit=False)
    for table in ("publish.outbox", "publish.subscription"):
        other.execute(f"lock table {table}".encode())
        ((name,),) = db.execute("select name from publish_doctor()").fetchall()
        assert name == "locked"
        other.rollback()
    other.execute("lock table item")
    (found,) = db.execute("select object, fix from publish_doctor()").fetchall()
    db.execute(found.fix.removeprefix("End it: ").encode())
    until(lambda: names(db) == set())


def test_status_and_metrics_wait_for_no_lock_either_and_point_to_the_doctor(db, connect, url):
    other = connect(autocommit=False)
    other.execute("lock table publish.outbox")
    for command in ("status", "metrics"):
        result = CliRunner().invoke(cli.main, ["--database-url", url, command])
        assert result.exit_code == 1
        assert "hint: Somebody has locked a table for long: pgpublish doctor" in result.stderr


def test_functions_that_lost_their_owner_hide_no_fix(db, url):
    db.execute(SUBSCRIBE)  # which asks for the head, as publish_owner
    db.execute("alter function publish_head() owner to current_user")
    assert [(f.name, f.fix) for f in doctor(db)] == [("version", "Run: pgpublish migrate")]
    migrate(db)
    assert doctor(db) == []
    with pytest.raises(BadArgument):
        doctor(db, "-1 s")


def test_it_names_who_has_locked_the_outbox_against_writers(db, connect):
    locker, writer = connect(autocommit=False), connect()
    locker.execute("lock table publish.outbox in share mode")
    waiting = begin(writer.execute, "insert into item values (2, 'b')")
    until(lambda: "locked" in names(db))
    assert not waiting.done()
    locker.rollback()
    waiting.result(30)


def test_a_running_job_that_lost_its_worker_long_ago_waits_for_one(db):
    db.execute("select publish_job_add('j', 'k')")
    db.execute("select publish_job_start('j', null, 'w', '1 minute')")
    assert names(db, "0 s") == set()
    db.execute("update publish.job set due_at = now() - interval '20 minutes'")
    assert names(db) == {"nobody_works"}


def test_it_names_settings_of_other_logins(db):
    db.execute("create role quick login in role publish_worker")
    db.execute("create role shop login")
    try:
        for role, setting in {
            "quick": ["statement_timeout = '1s'", "statement_timeout = 300",
                      "default_transaction_read_only = 'on'", "synchronous_commit = 'off'"],
            "shop": ["session_replication_role = 'replica'"],
        }.items():  # fmt: skip
            for each in setting:
                db.execute(f"alter role {role} set {each}".encode())
                (fix,) = fixes(db, "setting")
                db.execute(fix.encode())
                assert fixes(db, "setting") == [], each
        db.execute("alter role quick set statement_timeout = '2min'")
        db.execute("alter role shop set statement_timeout = '1s'")
        assert fixes(db, "setting") == []
    finally:
        db.execute("drop role quick, shop")


def test_the_fix_of_a_missing_trigger_captures_the_table_as_it_was(db):
    db.execute("create table part (id int primary key, item_id int, v text)")
    db.execute(
        "select publish_capture('item', 'part', 'id', array['v', 'item_id'],"
        " lookup => $$select p.item_id from part p where p.id = any ($1)$$)"
    )
    drain_all(db)
    before = db.execute(
        "select c.kind, c.source, c.key, c.lookup, c.columns, c.always from publish.capture c"
        " order by c.source"
    ).fetchall()
    db.execute("alter table part disable trigger user")
    for trigger in ("insert", "update", "delete", "truncate"):
        db.execute(f"drop trigger publish_1_{trigger} on item".encode())
    found = fixes(db, "capture")
    assert len(found) == 2
    for fix in found:
        db.execute(fix.removesuffix("; the drain then walks the kind").encode())
    drain_all(db)
    assert names(db) == set()
    assert (
        before
        == db.execute(
            "select c.kind, c.source, c.key, c.lookup, c.columns, c.always from publish.capture c"
            " order by c.source"
        ).fetchall()
    )


def test_it_names_long_and_prepared_transactions_slots_and_who_may_too_much(db, connect):
    db.execute("select pg_create_logical_replication_slot('left_over', 'pgoutput')")
    db.execute("create role too_much login in role publish_owner")
    other = connect(autocommit=False)
    try:
        other.execute("select pg_current_xact_id(), count(*) from item")
        assert names(db) == {"replication_slot", "roles"}, "a short transaction is no fault"
        assert "long_transaction" in names(db, "0 s")
        other.execute("prepare transaction 'forgotten'")
        assert "prepared_transaction" in names(db, "0 s")
        assert "prepared_transaction" not in names(db)
    finally:
        db.execute("rollback prepared 'forgotten'")
        db.execute("drop role too_much")
        db.execute("select pg_drop_replication_slot('left_over')")
    assert names(db) == set()


def test_it_says_what_it_cannot_see(db, cluster):
    db.execute("create role worker login in role publish_worker")
    try:
        url = cluster.url(db.info.dbname, "worker")
        for grant, is_blind in (("revoke", True), ("grant", False)):
            for_whom = "to" if grant == "grant" else "from"
            db.execute(f"{grant} pg_monitor {for_whom} worker".encode())
            result = CliRunner().invoke(cli.main, ["--database-url", url, "doctor"])
            assert (result.exit_code, result.stdout) == (0, "")
            assert ("needs pg_monitor" in result.stderr) == is_blind
    finally:
        db.execute("drop role worker")


def test_it_names_a_grant_that_limits_nobody(db):
    db.execute("create role reader in role publish_reader")
    try:
        db.execute("select publish_grant('reader', '{note}')")
        assert names(db) == {"wide_grant"}
        db.execute("grant publish_server to reader")
        assert names(db) == {"void_grant", "wide_grant"}
        db.execute("revoke publish_server, publish_reader from reader")
        assert names(db) == set()
        db.execute("grant publish_reader to reader; select publish_revoke('reader')")
        db.execute("select publish_grant('reader', '{*}')")
        assert names(db) == set()
    finally:
        db.execute("drop owned by reader; drop role reader")


def test_it_names_a_grant_whose_role_was_renamed_or_dropped(db):
    db.execute("create role reader; select publish_grant('reader', '{note}')")
    try:
        assert names(db) == set()
        db.execute("alter role reader rename to reader2")
        assert names(db) == {"lost_grant"}
        db.execute("select publish_revoke('reader'), publish_grant('reader2', '{note}')")
        assert names(db) == set()
    finally:
        db.execute("drop owned by reader2; drop role reader2")
    assert names(db) == {"lost_grant"}


def test_it_names_a_worker_that_is_a_superuser_and_connections_that_run_out(db, connect):
    worker = connect(application_name="pgpublish")
    assert names(db) == {"worker_role"}
    worker.close()
    many = [connect() for _ in range(50)]
    assert "connections" in names(db)
    for conn in many:
        conn.close()


def test_it_names_a_schema_of_another_version_and_a_clock_that_differs(db):
    assert doctor(db) == []
    assert [f.name for f in doctor(db, clock=lambda: time.time() - 60)] == ["clock"]
    db.execute("update publish.file set checksum = 'x' where path like 'sql/feed/publish_head%'")
    assert [f.name for f in doctor(db)] == ["version"]
    db.execute("update publish.file set checksum = '99.0.0' where path = 'version'")
    assert "of version 99.0.0" in doctor(db)[0].problem


def test_it_names_a_table_of_ours_that_nobody_vacuums(db):
    db.execute("alter table publish.accepted set (autovacuum_enabled = false)")
    db.execute(
        "insert into publish.accepted (role, consumer, message_id, expires_at)"
        " select 1, 'c', n::text, now() from generate_series(1, 110000) n"
    )
    db.execute("delete from publish.accepted")
    assert until(lambda: "disk" in (found := names(db)) and found) == {"autovacuum", "disk"}


def test_it_names_a_pooler(db, cluster):
    with pooled(cluster, db.info.dbname) as url, psycopg.connect(url, autocommit=True) as conn:
        conn.prepare_threshold = None
        assert [f.name for f in doctor(conn)] == ["pooler"]


def test_it_names_a_wraparound_that_comes_near(db):
    with db.transaction(force_rollback=True):
        db.execute(
            "update pg_database set datfrozenxid = ((pg_current_xact_id()::text::bigint"
            " + 3200000000) % 4294967296)::text::xid where datname = current_database()"
        )
        assert [f.name for f in doctor(db)] == ["wraparound"]


def test_each_check_is_planted_by_a_test():
    files = (
        "operate/test_doctor.py", "operate/test_pg_cron.py", "operate/test_standby.py",
        "drain/test_full_queue.py",
    )  # fmt: skip
    lines = [
        line
        for name in files
        for line in (Path(__file__).parents[1] / name).read_text().splitlines()
        if "run(" not in line  # a command and its arguments
    ]
    assert len(doctor_checks()) > 30
    assert doctor_checks() - set(re.findall(r'"([a-z_]+)"', "\n".join(lines))) == set()


def test_each_check_has_one_row_in_the_runbook():
    page = (Path(__file__).parents[2] / "docs/runbook.md").read_text()
    table = page.split("\n## Checks of the doctor\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.M)) == sorted(doctor_checks())


def test_a_database_without_pgpublish_has_one_fault(new_database, cluster):
    with psycopg.connect(cluster.url(new_database(None)), autocommit=True) as conn:
        assert [f.name for f in doctor(conn)] == ["version"]


def test_the_command_exits_6_and_prints_the_fix(db, url):
    db.execute("select publish_set('publishing', 'off')")
    drain(db)
    result = CliRunner().invoke(cli.main, ["--database-url", url, "doctor", "--json"])
    assert result.exit_code == 6
    (row,) = map(json.loads, result.stdout.splitlines())
    db.execute(row["fix"])
    assert one(db, "select count(*) from publish_doctor()") == 0
    result = CliRunner().invoke(cli.main, ["--database-url", url, "doctor", "--old", "-1 s"])
    assert result.exit_code == 1
