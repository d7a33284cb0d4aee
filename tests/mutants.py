"""Deliberate breaks of the SQL and the Python, each of which some test must notice.

python tests/mutants.py [--server …] [--only WORD]: breaks a copy of this checkout in one place
after the other, runs the tests named there, and prints the survivors, which are to be none. The
copy is removed at the end. Exit code 1: one survived, or a break no longer fits its file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIMIT_S = 900


class Mutant(NamedTuple):
    """What is broken, where, from which text (found once in its file) to which, and who sees it."""

    claim: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    # The writer's lock, snapshots, cuts.
    Mutant(
        "drains work side by side",
        "sql/common/try_writer_lock.sql",
        "  lock table publish.writer in share update exclusive mode nowait;\n",
        "",
        "tests/drain/test_lock.py",
    ),
    Mutant(
        "the lock does not exclude itself",
        "sql/common/try_writer_lock.sql",
        "in share update exclusive mode",
        "in row exclusive mode",
        "tests/drain/test_lock.py",
    ),
    Mutant(
        "a drain in an old snapshot is not refused",
        "sql/drain/publish_drain.sql",
        "  perform publish.check_read_committed('publish_drain', 'its lock');\n",
        "",
        "tests/drain/test_lock.py",
    ),
    Mutant(
        "stragglers are skipped",
        "sql/common/undrained.sql",
        "     where pg_visible_in_snapshot(x.xid, undrained.seen)\n",
        "     where false\n",
        "tests/drain/test_late_commit.py",
    ),
    Mutant(
        "a transaction under way counts as drained",
        "sql/drain/drained_after.sql",
        "     where x.xid >= pg_snapshot_xmax(drained_after.drained) "
        "and x.xid < drained_after.cut\n",
        "     where false\n",
        "tests/drain/test_late_commit.py",
    ),
    Mutant(
        "an own enqueue is not seen",
        "sql/drain/read_outbox.sql",
        "v_own xid8 := pg_current_xact_id_if_assigned();",
        "v_own xid8 := null;",
        "tests/drain/test_own_transaction.py",
    ),
    Mutant(
        "a small transaction is cut",
        "sql/drain/cut_batch.sql",
        "if v_cut <> (cut_batch.places)[1].xid then",
        "if false then",
        "tests/drain/test_cut.py",
    ),
    Mutant(
        "a cut transaction begins again",
        "sql/common/undrained.sql",
        "case when s.xid = undrained.partial_xid then undrained.partial_seq else -1 end",
        "-1::bigint",
        "tests/drain/test_cut.py tests/drain/test_late_commit.py",
    ),
    Mutant(
        "a batch has no end in bytes",
        "sql/drain/read_outbox.sql",
        "<= 64 * 1024 * 1024 as fits",
        "is not null as fits",
        "tests/drain/test_cut.py",
    ),
    Mutant(
        "headers weigh nothing",
        "sql/drain/read_outbox.sql",
        "+ publish.size_of(o.headers)::bigint * cardinality(o.source_ids)",
        "",
        "tests/drain/test_cut.py",
    ),
    Mutant(
        "a drain skips a rev, and the torture goes on",
        "sql/drain/drain_marks.sql",
        "  v_next.published := v_done.new + v_done.changed;\n",
        "  v_next.published := v_done.new + v_done.changed + (v_done.new > 0)::int;\n",
        "tests/test_torture.py",
    ),
    # What is published.
    Mutant(
        "only the hash is compared",
        "sql/drain/judge.sql",
        "when (p.payload_hash, p.deleted, p.schema_version)\n"
        "                         is distinct from (e.payload_hash, e.deleted, "
        "v_kind.schema_version)",
        "when p.payload_hash is distinct from e.payload_hash",
        "tests/drain/test_no_change.py",
    ),
    Mutant(
        "no change is a change",
        "sql/drain/judge.sql",
        "when v_kind.view is not null then 'unchanged'",
        "when v_kind.view is not null then 'changed'",
        "tests/drain/test_no_change.py",
    ),
    Mutant(
        "a payload that commits late wins",
        "sql/drain/judge.sql",
        "when v_kind.view is null and (e.mark).payload_no < p.payload_no",
        "when false",
        "tests/drain/test_late_commit.py",
    ),
    Mutant(
        "the older payload of a batch wins",
        "sql/drain/given_entries.sql",
        "m.payload_no desc nulls last, m.seq desc",
        "m.payload_no, m.seq",
        "tests/drain/test_late_commit.py",
    ),
    Mutant(
        "revs follow no order of enqueue",
        "sql/drain/in_order.sql",
        "order by (c.mark).seq, c.kind",
        "order by (c.mark).seq desc, c.kind",
        "tests/drain/test_no_change.py",
    ),
    Mutant(
        "an unknown key leaves a tombstone",
        "sql/drain/judge.sql",
        "when p.place is null and e.deleted and v_kind.view is not null\n"
        "                      then 'unchanged'\n                    ",
        "",
        "tests/drain tests/pgtap/drain",
    ),
    Mutant(
        "every drain tells its listeners",
        "sql/drain/publish_drain.sql",
        "if v_next.published > 0 and pg_notification_queue_usage() < 0.9",
        "if pg_notification_queue_usage() < 0.9",
        "tests/drain/test_lock.py",
    ),
    Mutant(
        "a full queue fails the drain",
        "sql/drain/publish_drain.sql",
        " and pg_notification_queue_usage() < 0.9",
        "",
        "tests/drain/test_full_queue.py",
    ),
    # What sets a key aside.
    Mutant(
        "a person's cancel is a timeout",
        "sql/drain/publish_drain.sql",
        "      if not publish.timed_out() then\n        raise;\n      end if;\n",
        "",
        "tests/drain/test_stopped.py",
    ),
    Mutant(
        "the time of the whole message counts",
        "sql/common/timed_out.sql",
        "nullif(current_setting('publish.began', true), '')::timestamptz",
        "statement_timestamp()",
        "tests/drain/test_stopped.py",
    ),
    Mutant(
        "no kind is ever suspect",
        "sql/drain/suspects.sql",
        "and d.attempts between 1 and 2",
        "and false",
        "tests/drain/test_stopped.py",
    ),
    Mutant(
        "retries of a failed key do not space out",
        "sql/common/backoff.sql",
        "greatest(0, least(backoff.attempts, 60) - 1)",
        "0",
        "tests/drain/test_poison.py "
        "tests/drain/test_quarantine_retry.py tests/deliver/test_outcomes.py",
    ),
    Mutant(
        "a table is read while it is replaced",
        "sql/common/try_hold.sql",
        "  perform publish_gate.gate_hold(try_hold.relation);\n",
        "",
        "tests/drain/test_replaced_table.py",
    ),
    Mutant(
        "a lookup that met a deadlock has its kind walked",
        "sql/drain/expand.sql",
        "        if publish.is_transient(sqlstate) then\n          raise;\n        end if;\n",
        "",
        "tests/capture/test_lookup.py",
    ),
    # Epochs, readers, retention.
    Mutant(
        "a crash begins no epoch",
        "sql/drain/begin_epoch.sql",
        "when not exists (select from publish.alive) then 'crash'",
        "when false then 'crash'",
        "tests/feed/test_crash.py",
    ),
    Mutant(
        "a promotion counts as a crash",
        "sql/drain/begin_epoch.sql",
        "    when v_last.timeline <> v_here.timeline then 'promotion'\n",
        "",
        "tests/operate/test_standby.py tests/operate/test_restore.py tests/deliver/test_resets.py",
    ),
    Mutant(
        "a cursor above the head goes on",
        "sql/feed/cursor_state.sql",
        "if cursor_state.since > cursor_state.head then",
        "if false then",
        "tests/feed/test_cursor.py",
    ),
    Mutant(
        "a cursor below the floor goes on",
        "sql/feed/cursor_state.sql",
        "if v_floor > greatest(cursor_state.since, cursor_state.base) then",
        "if false then",
        "tests/feed/test_cursor.py",
    ),
    Mutant(
        "a cursor of a lost epoch goes on",
        "sql/feed/cursor_state.sql",
        "and e.first_rev < greatest(cursor_state.since, cursor_state.base)",
        "and false",
        "tests/feed/test_cursor.py",
    ),
    Mutant(
        "a first sync trips over the floor",
        "sql/feed/cursor_state.sql",
        "if v_floor > greatest(cursor_state.since, cursor_state.base) then",
        "if v_floor > cursor_state.since then",
        "tests/feed/test_cursor.py",
    ),
    Mutant(
        "a slot is emptied without looking under its lock",
        "sql/operate/empty_slot.sql",
        "    execute v_undrained into v_found using v_state.drained;\n    if not v_found then\n"
        "      execute format('truncate",
        "    if not v_found then\n      execute format('truncate",
        "tests/operate/test_slots.py",
    ),
    Mutant(
        "a slot with a straggler is emptied",
        "sql/operate/empty_slot.sql",
        "o.xid = any (array(select pg_snapshot_xip($1)))",
        "false",
        "tests/operate/test_slots.py",
    ),
    Mutant(
        "the floor stays behind what is pruned",
        "sql/operate/prune.sql",
        "select g.kind, g.departed, max(g.rev) as floor",
        "select g.kind, g.departed, min(g.rev) as floor",
        "tests/operate/test_prune.py tests/feed/test_cursor.py",
    ),
    # Rights, and the feed over HTTP.
    Mutant(
        "tombstones of scopes move the floor of all readers",
        "sql/operate/prune.sql",
        "select d.kind, d.rev, true from departed d",
        "select d.kind, d.rev, false from departed d",
        "tests/feed/test_grants.py",
    ),
    Mutant(
        "a role that a session takes widens its grant",
        "sql/feed/callers_reading.sql",
        "login => session_user",
        "login => publish.caller()",
        "tests/feed/test_grants.py",
    ),
    Mutant(
        "a stream takes a page older than what the others were told",
        "harness/pgpublish/serve/stream.py",
        "if not more and self.upto < subscriber.since and not subscriber.lost:",
        "if False:",
        "tests/serve/test_joins.py",
    ),
    Mutant(
        "a long poll takes a page older than what the others were told",
        "harness/pgpublish/serve/pages.py",
        "is_behind = body.page.head < subscriber.since",
        "is_behind = False",
        "tests/serve/test_joins.py",
    ),
    Mutant(
        "streams go on while the shared read begins again",
        "harness/pgpublish/serve/hub.py",
        "            if self.cursor is None:\n",
        "            if False:\n",
        "tests/serve/test_joins.py",
    ),
    Mutant(
        "a heartbeat skips what was dropped",
        "harness/pgpublish/serve/stream.py",
        "if not (subscriber.waiting or subscriber.slow or subscriber.lost):",
        "if not subscriber.waiting:",
        "tests/serve/test_joins.py",
    ),
    Mutant(
        "a busy stream does not look at its token",
        "harness/pgpublish/serve/stream.py",
        "            self._transport.write(batch.chunk)\n",
        "            self._transport.write(batch.chunk)\n            self._looked()\n",
        "tests/serve/test_stream.py",
    ),
    Mutant(
        "a name that begins with 127. is this machine",
        "harness/pgpublish/serve/settings.py",
        'if host == "localhost":',
        'if host == "localhost" or host.startswith("127."):',
        "tests/serve/test_refusals.py",
    ),
    # Capture.
    Mutant(
        "an update that moves a key marks the new one only",
        "sql/capture/capture_keys.sql",
        "          union all\n          select k.key from old_rows o, %1$s_key(o.*) k (key)"
        "$sql$\n    else",
        "$sql$\n    else",
        "tests/capture/test_capture.py",
    ),
    Mutant(
        "a row that becomes another row of its key is no change",
        "sql/capture/capture_keys.sql",
        "           where not exists (select from captured_rows r\n"
        "                              where %1$s_same(o.*, r.*))",
        "           where false",
        "tests/capture",
    ),
    Mutant(
        "an UPDATE of watched columns is skipped",
        "sql/capture/capture_keys.sql",
        "           where not exists (select from old_rows o\n"
        "                              where %1$s_unchanged(o.*, r.*))",
        "           where false",
        "tests/capture",
    ),
    # Delivery.
    Mutant(
        "any token settles",
        "sql/deliver/held_batch.sql",
        "if v_newest is distinct from held_batch.token or held_batch.token is null then",
        "if held_batch.token is null then",
        "tests/deliver/test_delivery_crash.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "a leased lane is claimed again",
        "sql/deliver/next_ask.sql",
        "     or (next_ask.state).is_open and (next_ask.state).lease_until > v_ask.now\n",
        "",
        "tests/deliver/test_lanes.py",
    ),
    Mutant(
        "a circuit waits as long as a retry",
        "sql/deliver/judge_batch.sql",
        "least((judge_batch.subscription).backoff_max, interval '1 minute')",
        "(judge_batch.subscription).backoff_max",
        "tests/deliver/test_outcomes.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "an outage counts as attempts",
        "sql/deliver/park.sql",
        "or c.counts = 'if answered' and coalesce(",
        "or c.counts = 'if answered' or coalesce(",
        "tests/deliver/test_outcomes.py",
    ),
    Mutant(
        "nothing is given up for its age",
        "sql/deliver/park.sql",
        "or f.first_failed_at < park.now - v_subscription.give_up_after",
        "",
        "tests/deliver/test_outcomes.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "retries know no rate",
        "sql/deliver/judge_batch.sql",
        "  v_batch.retries_due_at := greatest(v_batch.retries_due_at, v_paced_at);\n",
        "",
        "tests/deliver/test_outcomes.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "a message keeps its id after a reset",
        "sql/deliver/message_ids.sql",
        "case when e.at < (message_ids.subscription).reset_at\n"
        "                           then (message_ids.subscription).life || '/' else '' end",
        "''",
        "tests/deliver/test_resets.py",
    ),
    Mutant(
        "resynced comes before all lanes are through",
        "sql/deliver/next_control.sql",
        "and l.cursor < (next_control.subscription).reset_rev)",
        "and false)",
        "tests/deliver/test_resets.py",
    ),
    Mutant(
        "one lost batch is enough to blame",
        "sql/deliver/lost_size.sql",
        "and count(*) = 2",
        "and count(*) >= 1",
        "tests/deliver/test_delivery_worker.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "redrive follows no order",
        "sql/deliver/publish_redrive.sql",
        "order by d.rev",
        "order by d.pub_id",
        "tests/deliver/test_lanes.py tests/deliver/test_deliver_cli.py tests/test_pg_prove.py",
    ),
    Mutant(
        "keys that wait for a retry are sent as fresh",
        "sql/deliver/next_changes.sql",
        "      and k.next_attempt_at is null\n    order by p.rev",
        "    order by p.rev",
        "tests/deliver/test_lanes.py tests/pgtap/deliver tests/test_pg_prove.py",
    ),
    Mutant(
        "settled before it is sent",
        "harness/pgpublish/deliver/sender.py",
        "            failures = self._send(sink, claimed, options.hide)\n",
        "            self._settle(claimed, [])\n"
        "            failures = self._send(sink, claimed, options.hide)\n",
        "tests/deliver/test_delivery_crash.py tests/deliver/test_delivery_worker.py",
    ),
    Mutant(
        "a batch that cannot be settled holds its thread",
        "harness/pgpublish/deliver/sender.py",
        "if shared.stop.is_set() or shared.clock() + delay >= give_up_at:",
        "if shared.stop.is_set():",
        "tests/deliver/test_delivery_worker.py",
    ),
    Mutant(
        "a settle waits for a locked lane",
        "sql/deliver/publish_settle.sql",
        "set lock_timeout = '1s'\n",
        "",
        "tests/deliver/test_delivery_worker.py",
    ),
    Mutant(
        "a redirect is followed",
        "harness/pgpublish/sinks/webhook.py",
        "allow_redirects=False",
        "allow_redirects=True",
        "tests/deliver/test_webhook.py",
    ),
    Mutant(
        "private addresses are called",
        "harness/pgpublish/sinks/webhook.py",
        "return self.networks.allow(address) and (self.allow_private or is_public(address))",
        "return True",
        "tests/deliver/test_webhook.py tests/deliver/test_policy.py",
    ),
    Mutant(
        "what comes after the timestamp is not signed",
        "harness/pgpublish/sinks/signature.py",
        'signed = f"{message_id}.{timestamp}.".encode() + body',
        'signed = f"{message_id}.{timestamp}.".encode()',
        "tests/deliver/test_webhook.py",
    ),
    Mutant(
        "a payload that failed is replaced by an older one that fails later",
        "sql/drain/defer.sql",
        "payload = case when d.payload_no > excluded.payload_no then d.payload\n",
        "payload = case when false then d.payload\n",
        "tests/drain/test_put_aside.py",
    ),
    Mutant(
        "while a kind is off an older payload replaces a newer one",
        "sql/drain/put_off.sql",
        "where excluded.payload_no >= d.payload_no",
        "where true",
        "tests/operate/test_switch.py",
    ),
    Mutant(
        "the loop maintains once",
        "harness/pgpublish/drain.py",
        "                maintain_at = clock() + MAINTAIN_EVERY_S\n",
        "                maintain_at = clock() + 1e9\n",
        "tests/drain/test_loop.py",
    ),
    Mutant(
        "a loop that stands by spins",
        "harness/pgpublish/drain.py",
        "                stop.wait(BUSY_WAIT_S)\n",
        "                pass\n",
        "tests/drain/test_loop.py",
    ),
    Mutant(
        "a life is a counter",
        "sql/deliver/resync.sql",
        "greatest(s.life + 1, extract(epoch from clock_timestamp())::bigint)",
        "s.life + 1",
        "tests/deliver/test_resets.py",
    ),
    Mutant(
        "a resync waits for retries of before",
        "sql/deliver/resync.sql",
        "  delete from publish.parked k\n"
        "   where k.subscription_id = (resync.subscription).subscription_id;\n",
        "",
        "tests/deliver/test_resets.py",
    ),
    Mutant(
        "a retry is parked below where the next look begins",
        "sql/deliver/settle_batch.sql",
        "greatest(clock_timestamp(), v_batch.retry_to)",
        "clock_timestamp()",
        "tests/deliver/test_outcomes.py",
    ),
    Mutant(
        "a settled batch gets a lease again",
        "sql/deliver/publish_extend.sql",
        " and b.settled_at is null",
        "",
        "tests/pgtap/deliver/test_publish_claim.sql",
    ),
    # Jobs.
    Mutant(
        "a run that lost its job settles it",
        "sql/jobs/end_job.sql",
        "and j.token = end_job.token\n     and j.status = 'running' "
        "and j.due_at > clock_timestamp()",
        "\n     and j.status = 'running'",
        "tests/jobs/test_job_killed.py",
    ),
    Mutant(
        "an expired lease settles",
        "sql/jobs/end_job.sql",
        " and j.due_at > clock_timestamp()",
        "",
        "tests/jobs/test_job_killed.py",
    ),
    Mutant(
        "a lease runs on the transaction's clock",
        "sql/jobs/end_job.sql",
        "and j.due_at > clock_timestamp()",
        "and j.due_at > now()",
        "tests/pgtap/jobs",
    ),
    Mutant(
        "a lost session is no loss",
        "sql/jobs/return_lost_jobs.sql",
        "            or j.pid is not null\n",
        "            or false\n",
        "tests/jobs/test_job_killed.py",
    ),
    Mutant(
        "a lease that was extended is lost",
        "sql/jobs/return_lost_jobs.sql",
        "       and (r.unlocked or j.due_at <= clock_timestamp())\n",
        "",
        "tests/jobs/test_job_race.py",
    ),
    Mutant(
        "the next run is lost with the old one",
        "sql/jobs/return_lost_jobs.sql",
        "where j.token = r.token and j.status",
        "where j.status",
        "tests/jobs/test_job_race.py",
    ),
    Mutant(
        "lost runs are not spaced",
        "sql/jobs/return_lost_jobs.sql",
        "when j.setbacks = 0 then clock_timestamp()",
        "when true then clock_timestamp()",
        "tests/pgtap/jobs",
    ),
    # Who may read what, limits, retention, upgrades.
    Mutant(
        "a token that has expired is known",
        "sql/feed/publish_token_check.sql",
        "\n       and coalesce(t.expires_at, 'infinity') > clock_timestamp()",
        "",
        "tests/feed/test_tokens.py",
    ),
    Mutant(
        "a long poll outlives its token",
        "harness/pgpublish/serve/pages.py",
        "                await self.auth.require(asked.reader)\n",
        "",
        "tests/serve/test_expiry.py",
    ),
    Mutant(
        "a token is worth the same for ever",
        "harness/pgpublish/serve/auth.py",
        "        if reader.token is not None:\n            now =",
        "        if False:\n            now =",
        "tests/serve/test_expiry.py tests/serve/test_stream.py",
    ),
    Mutant(
        "a token gives a reader another scope",
        "sql/feed/reading_for.sql",
        "if v_reader.scope <> reading_for.scope or reading_for.scope = '' then",
        "if reading_for.scope = '' then",
        "tests/feed/test_tokens.py tests/serve/test_readers.py",
    ),
    Mutant(
        "a reader names kinds that it was not granted",
        "sql/feed/narrow.sql",
        "where k.kind <> all (v_reading.kinds) or",
        "where",
        "tests/feed/test_grants.py tests/serve/test_readers.py",
    ),
    Mutant(
        "a key that leaves a scope leaves no deletion",
        "sql/feed/scoped_changes.sql",
        "cross join lateral publish.tombstone(d) t",
        "cross join lateral publish.tombstone(d) t where false",
        "tests/feed/test_grants.py tests/serve/test_readers.py",
    ),
    Mutant(
        "a stream shows rows of every scope",
        "harness/pgpublish/serve/hub.py",
        "return bool(row.of_scope == self.scope)",
        "return True",
        "tests/serve",
    ),
    Mutant(
        "a token ends only when it is looked at again",
        "harness/pgpublish/serve/auth.py",
        "        if self.expires_at is None:\n",
        "        if True:\n",
        "tests/serve",
    ),
    Mutant(
        "what no longer matches a filter is kept by consumers",
        "sql/deliver/filtered_items.sql",
        "i.deleted or m.is_out,",
        "i.deleted,",
        "tests/deliver/test_filter.py",
    ),
    Mutant(
        "what a filter leaves out is sent with its payload",
        "sql/deliver/filtered_items.sql",
        "case when not m.is_out then i.payload end",
        "i.payload",
        "tests/deliver/test_filter.py",
    ),
    Mutant(
        "marks of other kinds fill the depth of this one",
        "sql/capture/is_over.sql",
        "\n                            where publish.present_name(s.kind, clock_timestamp())"
        "\n                                  = (is_over.kind).kind",
        "",
        "tests/operate/test_backpressure.py",
    ),
    Mutant(
        "marks that are dropped over the limit ask for no walk",
        "sql/capture/drops_marks.sql",
        "if current_setting(v_name, true) is distinct from 'on' then",
        "if false then",
        "tests/operate/test_backpressure.py",
    ),
    Mutant(
        "retention removes what a subscription has not read",
        "sql/operate/due_rows.sql",
        "p.rev > k.rows_to",
        "false",
        "tests/operate/test_installation_settings.py",
    ),
    Mutant(
        "a delayed payload counts as enqueued when a drain takes it",
        "sql/drain/read_deferred.sql",
        "publish.microseconds(d.due_at))",
        "nextval('publish.payload_no') + 1000000)",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "numbers of payloads follow the clock alone",
        "sql/capture/next_payload_no.sql",
        "  if v_now > v_next then\n",
        "  if true then\n",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "the numbers of payloads forget the clock",
        "sql/capture/next_payload_no.sql",
        "    return setval('publish.payload_no', v_now);",
        "    return v_now;",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "a payload has the time at which its transaction began",
        "sql/capture/next_payload_no.sql",
        "publish.microseconds(clock_timestamp())",
        "publish.microseconds(now())",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "a payload that was put off counts as enqueued when it is due again",
        "sql/drain/read_deferred.sql",
        "case when d.reason = 'scheduled'\n",
        "case when true\n",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "a drain waits for a switch that is left open",
        "sql/drain/put_off.sql",
        "or m.deferred_id = any (array(select r.deferred_id from free r)) as is_free",
        "or true as is_free",
        "tests/operate/test_switch.py",
    ),
    Mutant(
        "a walk waits for a switch that is left open",
        "sql/walk/next_walk.sql",
        " and w.due_at < 'infinity'",
        "",
        "tests/operate/test_switch.py",
    ),
    Mutant(
        "maintenance waits for an unsubscribe that is left open",
        "sql/deliver/trim_delivery.sql",
        "      order by o.token\n      limit trim_delivery.batch\n"
        "        for update of o skip locked));",
        "      order by o.token\n      limit trim_delivery.batch));",
        "tests/deliver/test_lanes.py",
    ),
    Mutant(
        "what was put off is wrong for verify",
        "sql/verify/pending_keys.sql",
        "        or exists (select from publish.off_of",
        "        or false and exists (select from publish.off_of",
        "tests/operate/test_switch.py",
    ),
    Mutant(
        "a locked lane makes batches smaller",
        "harness/pgpublish/deliver/sender.py",
        "if error.sqlstate == QUERY_CANCELED and not over:",
        "if timed_out(error):",
        "tests/deliver/test_delivery_worker.py tests/deliver/test_lanes.py",
    ),
    Mutant(
        "two payloads for the same time, put off: the earlier stays",
        "sql/drain/put_off.sql",
        "where excluded.payload_no >= d.payload_no",
        "where excluded.payload_no > d.payload_no",
        "tests/drain/test_delayed.py",
    ),
    Mutant(
        "a start keeps no place",
        "sql/jobs/job_place.sql",
        "job_place.kind, ''), false);",
        "job_place.kind, ''), true);",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a place is kept for an hour",
        "sql/jobs/job_place.sql",
        "between 0 and 1000000",
        "between 0 and 3600000000",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a place is kept when the clock is set back",
        "sql/jobs/job_place.sql",
        "between 0 and 1000000",
        "<= 1000000",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a place that has nothing any more is kept",
        "sql/jobs/job_place.sql",
        "if not job_place.again and v_kept",
        "if v_kept",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a place is of any kind",
        "sql/jobs/job_place.sql",
        "       and v_kept = array_to_string(v_place, ',') || ',' || job_place.kind then\n",
        "then\n",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a start that finds no place looks for it twice",
        "sql/jobs/publish_job_start.sql",
        "if v_again or (v_place[1] < publish.microseconds(v_now)) is not true then",
        "if v_again then",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a job of a higher priority waits while a place is kept",
        "sql/jobs/publish_job_start.sql",
        "and h.priority > v_place[2])",
        "and false)",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a job started as its worker stops stays with it",
        "harness/pgpublish/jobs/worker.py",
        "        if job is not None:  # it was started",
        "        if False:  # it was started",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a job is not done where the next cannot be started",
        "harness/pgpublish/jobs/running.py",
        "        settle_done(job, data)\n        return None\n",
        "        raise\n",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a job that asked the server something is not tidied up after",
        "harness/pgpublish/jobs/running.py",
        "        if tidy and not (asked and asked == session.asked(job._conn)):\n",
        "        if tidy and not asked:\n",
        "tests/jobs/test_work.py",
    ),
    Mutant(
        "a worker tidies up only where questions are counted",
        "harness/pgpublish/jobs/running.py",
        "(asked and asked == session.asked(job._conn))",
        "(asked == session.asked(job._conn))",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "the next job starts although this one was not done",
        "sql/jobs/publish_job_next.sql",
        "  v_held := publish.end_job(id => publish_job_next.id, token => publish_job_next.token,\n"
        "                            data => publish_job_next.data);\n",
        "",
        "tests/pgtap/jobs/test_publish_job_next.sql",
    ),
    Mutant(
        "the next job has no lock",
        "sql/jobs/publish_job_next.sql",
        "client_pid => publish_job_next.client_pid) s;",
        "client_pid => null::int) s;",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a refused start of the next job lets go of this one's lock",
        "sql/jobs/publish_job_next.sql",
        "  return query\n",
        "  perform pg_advisory_unlock(1886741101, publish.job_lock(publish_job_next.token));\n"
        "  return query\n",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "the lock of a run stays when the next job starts",
        "sql/jobs/publish_job_next.sql",
        "  if v_held then\n",
        "  if false then\n",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a worker prunes with a job in its hands",
        "harness/pgpublish/jobs/worker.py",
        "stop.is_set() or clock() >= between.prune_at else",
        "stop.is_set() else",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a worker that cannot prune does no jobs",
        "harness/pgpublish/jobs/worker.py",
        "        self.prune_at = self._clock() + PRUNE_EVERY_S  # also if it fails: jobs go on\n",
        "",
        "tests/jobs/test_next.py",
    ),
    Mutant(
        "a quiet lane is looked for in the log of a busy one",
        "sql/deliver/lane_now.sql",
        "b.lane >= l.lane and b.lane <= l.lane\n    order by b.lane, b.token desc",
        "b.lane = l.lane\n    order by b.token desc",
        "tests/deliver/test_deliver_plans.py",
    ),
    Mutant(
        "a limit is counted in an old snapshot",
        "sql/jobs/kinds_with_room.sql",
        "  if v_held <> '{}' then",
        "  if false then",
        "tests/jobs/test_open_transactions.py",
    ),
    Mutant(
        "the token of another job lets go of its lock",
        "sql/jobs/refuse_settling.sql",
        "         where j.status = 'running' and j.token = refuse_settling.token\n",
        "         where false\n",
        "tests/jobs/test_open_transactions.py",
    ),
    Mutant(
        "a lost batch is settled in an old snapshot",
        "sql/deliver/held_batch.sql",
        "perform publish.check_read_committed('settling or extending a batch',",
        "perform format('settling or extending a batch',",
        "tests/deliver/test_lanes.py",
    ),
    Mutant(
        "who sleeps on a job's row keeps it",
        "sql/jobs/limit_idle.sql",
        "v_idle = '0' or",
        "false and",
        "tests/jobs/test_open_transactions.py",
    ),
    Mutant(
        "an upgrade leaves what the new version removed",
        "harness/pgpublish/migrate.py",
        "            conn.execute(drop_removed())\n",
        "            pass\n",
        "tests/test_upgrade.py",
    ),
    Mutant(
        "a migration does not give way",
        "harness/pgpublish/migrate.py",
        "            self.execute(GIVE_WAY)\n",
        "",
        "tests/test_migrate.py",
    ),
    Mutant(
        "a worker counts on the columns of its own version",
        "harness/pgpublish/drain.py",
        'b"select scanned, keys, published, unchanged, quarantined, head, busy"',
        'b"select *"',
        "tests/test_upgrade.py",
    ),
]


def check() -> list[str]:
    """Breaks whose old text is not there exactly once, so that they break nothing or too much."""
    return [
        f"{m.file}: {m.claim}: found {count} times"
        for m in MUTANTS
        if (count := (ROOT / m.file).read_text(encoding="utf-8").count(m.old)) != 1
    ]


def copied(to: Path) -> Path:
    """What the tests need of this checkout."""
    skipped = shutil.ignore_patterns(
        ".git", ".venv", ".servers", "node_modules", "results", "__pycache__", ".*_cache", "dist"
    )
    return Path(shutil.copytree(ROOT, to / "checkout", ignore=skipped))


def notice(mutant: Mutant, copy: Path, server: str) -> str | None:
    """The test that fails, or none."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "-p", "no:cacheprovider",
               "--server", server, *mutant.tests.split()]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(copy / "harness")}
    try:
        run = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True,
                             timeout=LIMIT_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        return None  # a test that hangs fails by its own limit: these were too many
    said = run.stdout.splitlines()
    failed = [line for line in said if line.startswith("FAILED")]
    if failed:
        return failed[0].split(" ")[1]
    if run.returncode != 0:
        raise SystemExit("\n".join([f"{mutant.claim}: the tests did not run", *said[-20:]]))
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--server", default="embedded", help="as in pytest")
    parser.add_argument("--only", default="", help="those whose claim or file has this in it")
    options = parser.parse_args()
    wrong = check()
    if wrong:
        print("These breaks no longer fit their files:", *wrong, sep="\n")
        return 1
    survivors = []
    chosen = [m for m in MUTANTS if options.only in f"{m.claim} {m.file}"]
    with tempfile.TemporaryDirectory(prefix="pgpublish-mutants-") as folder:
        copy = copied(Path(folder))
        for place, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            file = copy / mutant.file
            whole = file.read_text(encoding="utf-8")
            file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
            seen = notice(mutant, copy, options.server)
            file.write_text(whole, encoding="utf-8")
            if seen is None:
                survivors.append(mutant)
            print(f"{place}/{len(chosen)} {mutant.claim}: {seen or 'SURVIVED'}"
                  f" ({time.monotonic() - began:.0f} s)", flush=True)  # fmt: skip
    print(f"{len(chosen)} mutants, {len(survivors)} survivors")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
