create or replace function public.publish_kinds()
returns table (
  kind text, view text, key text[], schema_version int, validator text, retention interval,
  captured text[]
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select k.kind, k.view, k.key, k.schema_version, k.validator, k.retention,
         array(select coalesce(publish.captured_table(c.capture_id)::text, c.source)
                 from publish.capture c
                where c.kind = k.kind
                order by c.capture_id)
    from publish.kind k
   order by k.kind
$$;
comment on function public.publish_kinds() is
  'What is defined: each kind with its view, key columns, schema_version, validator and retention, '
  'and the tables that publish_capture captures for it.';
revoke all on function public.publish_kinds() from public;
grant execute on function public.publish_kinds() to publish_worker, publish_admin;
