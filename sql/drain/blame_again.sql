create or replace function publish.blame_again(batch publish.drain_batch) returns void
language plpgsql
as $$
declare
  v_is_single boolean := cardinality((blame_again.batch).due) = 1;
  v_mark publish.mark := (blame_again.batch).marks[1];
begin
  if (blame_again.batch).phase = 1 and v_is_single and v_mark.lookup_id is not null then
    perform publish.request_walk(
      v_mark.kind,
      format('the lookup of capture %s alone did not get through', v_mark.lookup_id));
    delete from publish.deferred d
     where d.kind = v_mark.kind and d.lookup_id = v_mark.lookup_id and d.sqlstate = '57014';
    return;
  end if;
  update publish.deferred d
     set attempts = d.attempts + 1, last_failed_at = clock_timestamp(),
         due_at = clock_timestamp()
                  + case when v_is_single
                         then publish.backoff(attempts => d.attempts, backoff_min => '10 seconds',
                                              backoff_max => '1 hour')
                         else interval '0' end
   where d.deferred_id = any ((blame_again.batch).due) ;
end
$$;
comment on function publish.blame_again(publish.drain_batch) is
  'What follows when marks that were put aside stopped a drain again: they are tried in smaller '
  'groups. One alone waits for its backoff; one that names a lookup becomes a walk over the kind, '
  'and with it all that wait for that lookup.';
revoke all on function publish.blame_again(publish.drain_batch) from public;
