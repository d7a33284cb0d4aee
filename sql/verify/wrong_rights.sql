-- Functions that are made of users' SQL are not recorded: their names say how they must be.
create or replace function publish.wrong_rights()
returns table (
  object text, owner name, grants text[], definer boolean, settings text[], problem text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select w.object, w.owner, w.grants, w.definer, w.settings, p.problem
    from (
      select r.object, r.owner as owner_now, r.grants as grants_now, r.definer as definer_now,
             r.settings as settings_now, e.owner, e.grants, e.definer, e.settings
        from publish.rights() r
        join publish.object e on e.object = r.object
      union all
      select r.object, r.owner, r.grants, r.definer, r.settings,
             case when starts_with(m.part, '_') then 'publish_owner'
                  when m.name = 'project' then 'publish_projector'
                  else (select publish.capture_role(c)
                          from publish.capture c where c.capture_id = m.id::int) end,
             case when starts_with(m.part, '_') then array['publish_projector:EXECUTE']
                  when m.name = 'project' then array['publish_owner:EXECUTE']
                  else array['public:EXECUTE'] end,
             m.part = '', r.settings
        from publish.rights() r
       cross join lateral (
         select n.match[1] as name, n.match[2] as id, n.match[3] as part
           from regexp_matches(
             r.object, '^function publish_gate[.](project|capture)_([0-9]{1,9})(_[a-z]+|)[(]')
                  as n (match)
       ) m
    ) w
   cross join lateral (values
     (case when w.owner_now <> w.owner
           then format('it is owned by %s and not by %s', w.owner_now, w.owner) end),
     (case when not w.grants_now @> w.grants
           then format('rights are missing: %s', (
             select string_agg(g.name, ', ' order by g.name)
               from (select unnest(w.grants) except select unnest(w.grants_now)) as g (name)))
           end),
     (case when not w.grants_now <@ w.grants
           then format('rights were never granted: %s', (
             select string_agg(g.name, ', ' order by g.name)
               from (select unnest(w.grants_now) except select unnest(w.grants)) as g (name)))
           end),
     (case when w.definer_now <> w.definer
           then format('it is not SECURITY %s',
                       case when w.definer then 'DEFINER' else 'INVOKER' end) end),
     (case when w.settings_now <> w.settings
           then format('its settings are not %s', w.settings) end)
   ) as p (problem)
   where p.problem is not null
$$;
comment on function publish.wrong_rights() is
  'Our objects whose owner, rights, SECURITY DEFINER or SET clauses are not as the files say: what '
  'they should be, and the problem.';
revoke all on function publish.wrong_rights() from public;
grant execute on function publish.wrong_rights()
  to publish_writer, publish_reader, publish_worker, publish_admin, publish_server;
