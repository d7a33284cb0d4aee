-- A batch that fails is tried again in sixteen parts, each in a subtransaction of its own, down to
-- single keys.
create or replace function publish.project(
  kind publish.kind,
  marks publish.mark[],
  view_works boolean default false
) returns publish.entry[]
language plpgsql
stable
as $$
declare
  v_count int := cardinality(project.marks);
  v_part int := (v_count + 15) / 16;
  v_message text;
  v_sqlstate text;
begin
  if (project.kind).view is not null then
    return publish.read_entries(project.kind, project.marks);
  end if;
  return publish.given_entries(project.kind, project.marks);
exception when others then
  get stacked diagnostics v_sqlstate = returned_sqlstate, v_message = message_text;
  if publish.is_transient(v_sqlstate) and v_sqlstate <> '55P03' then
    raise;
  end if;
  if (project.kind).view is not null
     and not exists (select from publish.projection p where p.kind = (project.kind).kind) then
    v_count := 1;
    select f.sqlstate, f.message into v_sqlstate, v_message
      from publish.projection_fault(project.kind) f;
  elsif v_sqlstate = '55P03' or v_count > 1 and not project.view_works
                             and publish.fails_always(project.kind) then
    v_count := 1;
  end if;
  if v_count > 1 then
    -- One key spelled in two ways may be in two parts.
    return array(
      select distinct on (e.source_id collate "C") e
        from generate_series(1, v_count, v_part) as n
       cross join lateral unnest(publish.project(
         kind => project.kind, marks => project.marks[n:n + v_part - 1], view_works => true)) e
       order by e.source_id collate "C", (e.mark).payload_no desc nulls last,
                (e.mark).seq desc nulls last);
  end if;
  -- Published under another key, of which the view can show nothing any more: a tombstone.
  return array(
    select row(m, m.source_id, null, null, g.gone or m.deleted,
               case when not g.gone then v_sqlstate end,
               case when not g.gone then v_message end)::publish.entry
      from unnest(project.marks) m
     cross join lateral (
       select (project.kind).view is not null and v_sqlstate <> '55P03'
              and exists (select from publish.newest(m.kind, m.source_id))
              and not publish.is_key(m.kind, m.source_id) as gone) g);
end
$$;
comment on function publish.project(publish.kind, publish.mark[], boolean) is
  'What marks of one kind come to: the view''s rows or the given payloads. Keys that fail are '
  'found in ever smaller parts and have SQLSTATE and message; 55P03: a table is being replaced. '
  'view_works: the view does not fail for every key. Errors: those that say nothing of the keys '
  '(publish.is_transient).';
revoke all on function publish.project(publish.kind, publish.mark[], boolean) from public;
