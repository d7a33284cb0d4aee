-- The part of publish_define that writes; its locks are those of one row of publish.kind.
create or replace function publish.define(
  kind text,
  view regclass,
  key text[],
  schema_version int,
  validator regprocedure,
  retention interval
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_view text := (
    select format('%I.%I', n.nspname, c.relname)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = define.view
  );
  v_validator text := (
    select format('%I.%I', n.nspname, p.proname)
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where p.oid = define.validator
  );
  v_key text[] := coalesce(define.key, case when define.view is not null then array['id'] end);
  v_old publish.kind;
begin
  perform publish.check_definition(
    kind => define.kind, schema_version => define.schema_version,
    validator => define.validator, retention => define.retention);
  perform publish.check_view(kind => define.kind, view => define.view, view_name => v_view);
  perform publish.check_key(kind => define.kind, view => define.view, view_name => v_view,
                            key => v_key);
  if v_view is null
     and exists (select from publish.capture c where c.kind = define.kind) then
    raise exception 'a payload kind cannot have captured tables' using
      errcode = 'PT400',
      detail = format('kind %L, captured: %s', define.kind, (
        select string_agg(c.source, ', ' order by c.source)
          from publish.capture c where c.kind = define.kind)),
      hint = 'Call publish_uncapture for the kind first, or pass its view.';
  end if;

  select k.* into v_old from publish.kind k where k.kind = define.kind for no key update;
  insert into publish.kind as k
         (kind, view, key, schema_version, validator, retention, digest, created_at)
  values (define.kind, v_view, v_key, define.schema_version, v_validator, define.retention,
          publish.view_digest(v_view), clock_timestamp())
  on conflict on constraint kind_pkey do update
     set view = excluded.view, key = excluded.key, schema_version = excluded.schema_version,
         validator = excluded.validator, retention = excluded.retention, updated_at = now();

  if v_view is not null then
    perform publish.check_plan(define.kind), publish.warn_varying(define.view);
  end if;
  if v_old.kind is not null and v_view is not null
     and (v_view, v_key, define.schema_version)
         is distinct from (v_old.view, v_old.key, v_old.schema_version) then
    perform publish.request_walk(define.kind, 'defined again');
  end if;
  -- What was set aside may be right now, or belong to a view that is no longer asked.
  delete from publish.deferred d
   where d.kind = define.kind and d.reason = 'failed' and v_view is null and d.payload is null
     and not d.deleted;
  update publish.deferred d
     set due_at = clock_timestamp()
   where d.kind = define.kind and d.reason = 'failed';
end
$$;
comment on function publish.define(text, regclass, text[], int, regprocedure, interval) is
  'Writes the definition for publish_define, which documents it.';
revoke all on function publish.define(text, regclass, text[], int, regprocedure, interval)
  from public;
grant execute on function publish.define(text, regclass, text[], int, regprocedure, interval)
  to publish_admin;
