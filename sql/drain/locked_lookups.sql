create or replace function publish.locked_lookups(marks publish.mark[], waited int) returns int[]
language plpgsql
as $$
declare
  v_read record;
  v_lookups int[] := array[]::int[];
begin
  for v_read in
    select l.lookup_id, publish.qualified_name(t.relid) as relation
      from (select distinct m.lookup_id from unnest(locked_lookups.marks) m
             where m.lookup_id is not null) l
     cross join lateral publish.lookup_reads(l.lookup_id) as t (relid)
  loop
    if not publish.try_hold(
         relation => v_read.relation,
         wait_ms => (50 / power(2, locked_lookups.waited + cardinality(v_lookups)))::int) then
      v_lookups := v_lookups || v_read.lookup_id;
    end if;
  end loop;
  return v_lookups;
end
$$;
comment on function publish.locked_lookups(publish.mark[], int) is
  'For publish.hold: the lookups of these marks that read a table which is being replaced; of the '
  'others all tables are held. waited: how many were waited for before.';
revoke all on function publish.locked_lookups(publish.mark[], int) from public;
