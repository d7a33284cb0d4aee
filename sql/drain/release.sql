-- What an open publish_retry has locked is tried again once that ends, and released then.
create or replace function publish.release(
  batch publish.drain_batch,
  held publish.mark[],
  changes publish.change[]
) returns void
language plpgsql
as $$
begin
  if (release.batch).due is not null then
    delete from publish.deferred d
     where d.deferred_id = any ((release.batch).due) and d.reason <> 'failed';
  end if;
  if not (release.batch).has_failed then
    return;
  end if;
  delete from publish.deferred d
   where d.deferred_id = any (array(
     select l.deferred_id
       from publish.deferred l
      where l.deferred_id = any (array(
        select f.deferred_id
          from (select c.kind, c.source_id, 0 as lookup_id, (c.mark).payload_no
                  from unnest(release.changes) c
                 where c.verdict not in ('failed', 'locked')
                union all
                -- Lookups, and keys that the view spells otherwise.
                select h.kind, h.source_id, h.lookup_id, null
                  from (select m.kind, m.source_id, coalesce(m.lookup_id, 0) as lookup_id
                          from unnest(release.held) m
                        except
                        select c.kind, c.source_id, 0 from unnest(release.changes) c) h) w
         cross join lateral publish.failed_of(kind => w.kind, source_id => w.source_id,
                                              lookup_id => w.lookup_id) f
         where (f.payload_no > w.payload_no) is not true))
        for update skip locked));
  update publish.deferred d
     set due_at = clock_timestamp()
                  + publish.backoff(attempts => d.attempts, backoff_min => '10 seconds',
                                    backoff_max => '1 hour')
   where d.deferred_id = any ((release.batch).due) and d.due_at <= clock_timestamp();
end
$$;
comment on function publish.release(publish.drain_batch, publish.mark[], publish.change[]) is
  'Takes out of publish.deferred what this drain has done: of the due marks those that were not '
  'failures, and failures that went through now. What is left of the due ones is put off.';
revoke all on function publish.release(publish.drain_batch, publish.mark[], publish.change[])
  from public;
