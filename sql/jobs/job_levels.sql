-- A level is the waiting jobs of one kind and one priority. job_due_idx begins each level with what
-- is due longest, so its first entry says whether anything in it is due: jobs of later cost a look
-- for each level above the first that is due, however many they are.
-- The planner puts it into the query that calls it, whose function pins the settings of planning.
create or replace function publish.job_levels(kinds text[], until timestamptz)
returns table (kind text, priority int, due_at timestamptz)
language sql stable
rows 10
as $$
  with recursive level as (
    select k.kind, f.priority, f.due_at
      from (select distinct u.kind from unnest(job_levels.kinds) as u (kind)) k
     cross join lateral (
       select j.priority, j.due_at
         from publish.job j
        where j.kind = k.kind and j.status in ('pending', 'failed')
        order by j.kind, j.priority desc, j.due_at
        limit 1) f
    union all
    select l.kind, f.priority, f.due_at
      from level l
     cross join lateral (
       select j.priority, j.due_at
         from publish.job j
        where j.kind = l.kind and j.priority < l.priority and j.status in ('pending', 'failed')
        order by j.kind, j.priority desc, j.due_at
        limit 1) f
     where l.due_at > job_levels.until
  )
  select l.kind, l.priority, l.due_at from level l
$$;
comment on function publish.job_levels(text[], timestamptz) is
  'Of each of the kinds, by falling priority, when its longest due job is due, down to the first '
  'priority that has one due at that time.';
revoke all on function publish.job_levels(text[], timestamptz) from public;
