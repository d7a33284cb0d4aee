create or replace function publish.absorb(batch publish.drain_batch) returns publish.mark[]
language plpgsql
as $$
begin
  if (absorb.batch).phase = 1 or not (absorb.batch).has_failed then
    return (absorb.batch).marks;
  end if;
  return array(
    select m
      from unnest((absorb.batch).marks) m
      left join lateral publish.failed_of(kind => m.kind, source_id => m.source_id,
                                          lookup_id => m.lookup_id) f on true
     where f.sqlstate is distinct from '57014' or m.payload_no > f.payload_no);
end
$$;
comment on function publish.absorb(publish.drain_batch) is
  'The batch''s marks without those that wait in publish.deferred because a drain did not get '
  'through with them: they will be read there, as they are then. A newer payload does not wait for '
  'an older one. All, if the batch tries just these.';
revoke all on function publish.absorb(publish.drain_batch) from public;
