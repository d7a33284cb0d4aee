create or replace function publish.end_walk(walk publish.walk) returns void
language sql
as $$
  delete from publish.walk w where w.walk_id = (end_walk.walk).walk_id;
  insert into publish.walked as d (kind, reason, marked, estimate, requested_at, began_at, digest)
  select (end_walk.walk).kind, (end_walk.walk).reason, (end_walk.walk).marked,
         (end_walk.walk).estimate, (end_walk.walk).requested_at, (end_walk.walk).began_at,
         (end_walk.walk).digest
  on conflict on constraint walked_pkey do update
     set reason = excluded.reason, marked = excluded.marked, estimate = excluded.estimate,
         requested_at = excluded.requested_at, began_at = excluded.began_at,
         ended_at = excluded.ended_at, digest = excluded.digest;
$$;
comment on function publish.end_walk(publish.walk) is
  'Moves a walk that has marked every key from publish.walk to publish.walked.';
revoke all on function publish.end_walk(publish.walk) from public;
