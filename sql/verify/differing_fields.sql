-- Keys that are equal by now, or of which there are several rows, have no fields here.
create or replace function publish.differing_fields(kind text, source_ids text[])
returns table (source_id text, field text, old jsonb, new jsonb)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
as $$
declare
  v_kind publish.kind := publish.check_kind(differing_fields.kind);
begin
  differing_fields.source_ids := differing_fields.source_ids[:1000];
  if not (publish.is_prepared(v_kind) or publish.prepare_kind(v_kind)) then
    raise lock_not_available;
  end if;
  return query
    with entry as materialized (
      select e.source_id, e.payload, e.deleted
        from unnest(publish.project(
               kind => v_kind,
               marks => array(
                 select row(v_kind.kind, u.id, null, null, null, false, null, null,
                            null)::publish.mark
                   from unnest(differing_fields.source_ids) as u (id)
                  where octet_length(u.id) between 1 and 2000))) e
       where e.sqlstate is null
    ),
    pair as (
      select u.id, u.n, case when not p.deleted then p.payload end as old,
             case when not e.deleted then e.payload end as new,
             p.schema_version as old_version, v_kind.schema_version as new_version
        from unnest(differing_fields.source_ids) with ordinality as u (id, n)
        join entry e on e.source_id = u.id
        left join lateral publish.newest(v_kind.kind, u.id) p on true
    )
    select d.id, d.field, d.old, d.new
      from (
        select p.id, p.n, f.key as field, p.old -> f.key as old, p.new -> f.key as new
          from pair p
         cross join lateral (select jsonb_object_keys(p.old || p.new)) as f (key)
         where jsonb_typeof(p.old) = 'object' and jsonb_typeof(p.new) = 'object'
        union all
        select p.id, p.n, null, p.old, p.new
          from pair p
         where p.old is null or p.new is null
        union all
        select p.id, p.n, 'schema_version', to_jsonb(p.old_version), to_jsonb(p.new_version)
          from pair p
         where p.old is not null and p.new is not null
      ) d
     where d.old::text is distinct from d.new::text
     order by d.n, d.field;
end
$$;
comment on function publish.differing_fields(text, text[]) is
  'How what is published under these keys differs from the view: field by field, old as '
  'published, new as the view says; field is null where one of the two has no row. At most '
  '1,000 keys are looked at. Errors: PT404 not a projected kind, 55P03 a table of the view is '
  'being replaced.';
revoke all on function publish.differing_fields(text, text[]) from public;
grant execute on function publish.differing_fields(text, text[]) to publish_worker, publish_admin;
