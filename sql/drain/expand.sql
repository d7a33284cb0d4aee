-- The drain looks up, and not the trigger: who inserts an airport and who renames its country
-- cannot see each other. The drain asks after the rename committed; what it does not see then
-- commits later, with a mark of its own.
create or replace function publish.expand(batch publish.drain_batch, marks publish.mark[], most int)
returns publish.mark[]
language plpgsql
as $$
declare
  v_is_mixed boolean := (expand.batch).first < cardinality((expand.batch).marks);
  v_marks publish.mark[];
  v_left int;
  v_group record;
  v_found text[];
begin
  v_marks := array(select m from unnest(expand.marks) m where m.lookup_id is null);
  v_left := least(expand.most, 1000000000) - cardinality(v_marks);
  for v_group in
    select m.kind, k.kind_no, m.lookup_id, m.headers, array_agg(distinct m.source_id) as ids,
           max(m.seq) as seq, min(m.enqueued_at) as enqueued_at, array_agg(m) as marks
      from unnest(expand.marks) m
      left join publish.kind k on k.kind = m.kind
     where m.lookup_id is not null
     group by m.kind, k.kind_no, m.lookup_id, m.headers
     order by max(m.seq)
  loop
    perform publish.attempt(kind_no => v_group.kind_no, phase => (expand.batch).phase);
    begin
      v_found := array(
        select l.key
          from publish.look_up(lookup_id => v_group.lookup_id, ids => v_group.ids,
                               most => case when v_is_mixed then greatest(v_left, 0) + 1 end)
                 as l (key));
    exception
      when lock_not_available then
        perform publish.defer(marks => v_group.marks, reason => 'locked');
        continue;
      when others then
        if publish.is_transient(sqlstate) then
          raise;
        end if;
        perform publish.request_walk(v_group.kind, format('the lookup of capture %s failed: %s',
                                                          v_group.lookup_id, sqlerrm));
        continue;
    end;
    v_left := v_left - cardinality(v_found);
    if v_left < 0 and v_is_mixed then
      return null;
    elsif v_left < 0 then
      perform publish.append_marks(kind => v_group.kind, keys => v_found,
                                   headers => v_group.headers);
    else
      -- A key that was put aside must not stop this drain as well.
      v_marks := v_marks || array(
        select row(v_group.kind, f.key, v_group.seq, null, null, false, v_group.headers, null,
                   v_group.enqueued_at)::publish.mark
          from unnest(v_found) as f (key)
          left join lateral publish.failed_of(v_group.kind, f.key) a on (expand.batch).has_failed
         where a.sqlstate is distinct from '57014');
    end if;
  end loop;
  return v_marks;
end
$$;
comment on function publish.expand(publish.drain_batch, publish.mark[], int) is
  'These marks of the batch, with each that names a lookup replaced by the keys it finds. When '
  'they are more than most: null if several transactions marked them (a smaller batch will do); of '
  'one transaction the rest becomes marks of the outbox. Where a lookup fails, a walk over the '
  'kind is asked for, which marks every key.';
revoke all on function publish.expand(publish.drain_batch, publish.mark[], int) from public;
