create or replace function publish.due_kinds(
  inout kinds text[],
  inout priority int
)
language plpgsql
as $$
declare
  v_kinds text[] := due_kinds.kinds;
begin
  select max(p.priority) into due_kinds.priority
    from unnest(v_kinds) as k (kind)
   cross join lateral (
     select j.priority
       from publish.job j
      where j.kind = k.kind and j.priority < due_kinds.priority
        and j.status in ('pending', 'failed')
      order by j.priority desc
      limit 1
   ) p;
  due_kinds.kinds := array(
    select k.kind
      from (select distinct u.kind from unnest(v_kinds) as u (kind)) k
     cross join lateral (
       select j.due_at
         from publish.job j
        where j.kind = k.kind and j.priority = due_kinds.priority
          and j.due_at <= clock_timestamp() and j.status in ('pending', 'failed')
        order by j.due_at
        limit 1
     ) d
     order by d.due_at);
end
$$;
comment on function publish.due_kinds(text[], int) is
  'The highest priority below this one of a job of these kinds that waits, null if there is none; '
  'and those of the kinds that have a due job of it, the longest due first.';
revoke all on function publish.due_kinds(text[], int) from public;
