-- So that a page stays bounded, all keys count as pending where the kind has 100,000 marks or more,
-- or its lookups find as many keys. They do too where a walk will mark every key, or where a lookup
-- fails, for which the drain will ask for a walk.
create or replace function publish.pending_keys(kind text, source_ids text[]) returns setof text
language plpgsql
stable
as $$
declare
  c_most constant int := 100000;
  v_group record;
  v_left int := c_most;
  v_found text[] := array(
    select u.id
      from unnest(pending_keys.source_ids) as u (id)
     where exists (select from publish.failed_of(kind => pending_keys.kind, source_id => u.id))
        or exists (select from publish.off_of(kind => pending_keys.kind, source_id => u.id)));
begin
  if source_ids = '{}' then
    return;
  end if;
  if exists (select from publish.walk w where w.kind = pending_keys.kind)
     or exists (select
                  from (select d.reason
                          from publish.deferred d
                         where d.kind = pending_keys.kind and d.lookup_id is not null
                        offset 0) d -- the index of failures holds too many
                 where d.reason in ('failed', 'off')) then
    v_left := 0;
  end if;
  for v_group in
    select m.lookup_id, count(*)::int as marks, array_agg(distinct m.source_id) as ids
      from publish.undrained_marks(pending_keys.kind, v_left) m
     group by m.lookup_id
  loop
    v_left := v_left - v_group.marks;
    exit when v_left <= 0;
    if v_group.lookup_id is not null then
      v_group.ids := array(
        select l.key
          from publish.look_up(lookup_id => v_group.lookup_id, ids => v_group.ids, most => v_left)
                 as l (key));
      v_left := v_left - cardinality(v_group.ids);
    end if;
    v_found := v_found || v_group.ids;
  end loop;
  return query
    select u.id
      from unnest(pending_keys.source_ids) as u (id)
     where v_left <= 0 or u.id in (select f.id from unnest(v_found) as f (id));
exception when others then
  if publish.is_transient(sqlstate) then
    raise;
  end if;
  return query select u.id from unnest(pending_keys.source_ids) as u (id);
end
$$;
comment on function publish.pending_keys(text, text[]) is
  'Which of these keys may differ now because they are still to be drained, quarantined, or marked '
  'while their kind is switched off.';
revoke all on function publish.pending_keys(text, text[]) from public;
