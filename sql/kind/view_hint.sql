-- It names what can be typed: quoted where needed, and with its schema unless that is public.
create or replace function publish.view_hint(name text) returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  with shown as (
    select lower(c.relname) as bare,
           case when n.nspname <> 'public' or quote_ident(c.relname) = view_hint.name
                then quote_ident(n.nspname) || '.' else '' end || quote_ident(c.relname) as name
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('v', 'r', 'p') and n.nspname !~ '^(pg_|information_schema$)'
       and n.nspname not in ('publish', 'publish_gate')
  ),
  same as (
    select s.name
      from shown s
     where s.bare = lower(btrim(regexp_replace(view_hint.name, '^.*[.]', ''), '"'))
     order by s.name
     limit 3
  )
  select coalesce(
           'Did you mean ' || (select string_agg(quote_literal(s.name), ' or ' order by s.name)
                                 from same s) || '? ',
           publish.near(regexp_replace(view_hint.name, '^public[.]', ''),
                        array(select s.name from shown s)))
         || 'Name a view of this database, with its schema if it needs one.'
$$;
comment on function publish.view_hint(text) is
  'The hint for a view that is not there, with names like it.';
revoke all on function publish.view_hint(text) from public;
grant execute on function publish.view_hint(text) to publish_admin;
