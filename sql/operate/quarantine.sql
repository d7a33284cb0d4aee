create or replace view publish.quarantine as
  select d.kind, d.source_id, d.payload_no, d.payload, d.deleted, d.headers, d.sqlstate, d.message,
         d.attempts, d.first_failed_at, d.last_failed_at, d.due_at
    from publish.deferred d
   where d.reason = 'failed';
comment on view publish.quarantine is
  'Keys that could not be published, with the reason. They are tried again at due_at, and leave '
  'when they go through.';
revoke all on publish.quarantine from public;
grant select on publish.quarantine to publish_admin;
