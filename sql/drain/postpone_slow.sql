-- The loop calls it after a drain that ran into statement_timeout, so that neither a key that is
-- known to time out nor a walk's page costs live changes more than that one drain. The page of a
-- walk that had no part in it grows again.
create or replace function publish.postpone_slow(batch int) returns boolean
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with key as (
    update publish.quarantine q
       set attempts = q.attempts + 1, last_failed_at = clock_timestamp(),
           next_attempt_at = clock_timestamp() + publish.backoff(q.attempts + 1)
     where (q.kind, q.source_id) in (select d.kind, d.source_id
                                       from publish.quarantine d
                                      where d.next_attempt_at <= clock_timestamp()
                                        and d.sqlstate = '57014'
                                        for update skip locked)
    returning q.source_id
  ),
  page as (
    update publish.rescan r
       set attempts = r.attempts + 1, message = 'a page ran into statement_timeout',
           page = greatest(least(r.page, postpone_slow.batch) / 2, 1),
           next_page_at = clock_timestamp() + publish.backoff(r.attempts + 1)
     where r.rescan_id = (select d.rescan_id
                            from publish.rescan d
                           where d.next_page_at <= clock_timestamp()
                           order by d.next_page_at, d.rescan_id
                           limit 1
                             for update skip locked)
       and not exists (select from key)
    returning r.rescan_id
  )
  select exists (select from page) or exists (select from key)
$$;
comment on function publish.postpone_slow(int) is
  'After a drain of batch marks that ran into statement_timeout: puts off the due keys that timed '
  'out before, else the walk that is due, with half the page; by their next backoff. True when '
  'there was one: a drain of the same size may then get through.';
revoke all on function publish.postpone_slow(int) from public;
grant execute on function publish.postpone_slow(int) to publish_worker, publish_admin;
