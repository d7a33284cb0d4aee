-- PostgREST answers GET /rpc/film_changes and /rpc/film. Run as publish_admin with CREATE on the
-- database. Which rows a request sees is decided by the role of its JWT, as publish_grant said.
create schema api;

create function api.film_changes(cursor text default null, "limit" int default 500) returns jsonb
language sql
stable
as $$
  select public.publish_page(film_changes.cursor, film_changes."limit", '{film}'::text[])
$$;

create function api.film(id uuid) returns jsonb
language sql
stable
as $$ select g.payload from public.publish_get('film'::text, film.id) g where not g.deleted $$;

revoke execute on all functions in schema api from public;
grant usage on schema api to web_anon;
grant execute on all functions in schema api to web_anon;
select publish_grant('web_anon', '{film}');
