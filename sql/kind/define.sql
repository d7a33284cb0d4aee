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
  v_key text[] := define.key;
  v_missing text;
  v_unread regclass;
  v_old publish.kind;
begin
  if coalesce(define.kind, '') = '' or octet_length(define.kind) > 200 then
    raise exception 'a kind is named by 1 to 200 bytes of text' using
      errcode = 'PT400',
      detail = format('kind %L', left(define.kind, 60)),
      hint = 'Choose a short name, such as the entity''s.';
  end if;
  if coalesce(define.schema_version, 0) < 1 then
    raise exception 'schema_version must be 1 or more' using
      errcode = 'PT400',
      detail = format('kind %L, schema_version %s', define.kind,
                      coalesce(define.schema_version::text, 'null')),
      hint = 'Start at 1 and raise it when the payload''s shape changes.';
  end if;
  if define.retention <= interval '0' or define.retention > interval '1000 years' then
    raise exception 'retention must be more than nothing and at most 1000 years' using
      errcode = 'PT400',
      detail = format('kind %L, retention %s', define.kind, define.retention),
      hint = 'Pass an interval such as ''30 days'', or null to keep every row.';
  end if;
  if define.validator is not null and not exists (
    select from pg_proc p
     where p.oid = define.validator
       and p.proargtypes = '3802'::oidvector
       and p.prorettype = 'boolean'::regtype and not p.proretset
       and p.prokind = 'f'
  ) then
    raise exception 'a validator takes one jsonb and returns boolean' using
      errcode = 'PT400',
      detail = format('kind %L, validator %s', define.kind, define.validator),
      hint = 'Create it as: function name(payload jsonb) returns boolean.';
  end if;

  if define.view is not null and not exists (
    select from pg_class c
     where c.oid = define.view and c.relkind in ('v', 'm', 'r', 'p', 'f')
       and c.relpersistence <> 't'
  ) then
    raise exception 'this is not a view or table that lasts' using
      errcode = 'PT400',
      detail = format('kind %L, view %s', define.kind, define.view),
      hint = 'Pass a view, a materialized view or a table that is not temporary.';
  end if;
  -- publish_projector may read it already, for a kind of somebody else.
  if not has_table_privilege(publish.caller(), define.view, 'select') then
    raise exception 'a view is published by who may read it' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, user %s', define.kind, v_view, publish.caller()),
      hint = format('As its owner: grant select on %s to %I', v_view, publish.caller());
  end if;
  v_unread := publish.unread_by(reader => publish.caller(), view => define.view);
  if v_unread is not null then
    raise exception 'a view is published by who may read it' using
      errcode = 'PT400',
      detail = format('kind %L, view %s reads %s as who asks, user %s', define.kind, v_view,
                      v_unread, publish.caller()),
      hint = format('As its owner: grant select on %s to %I', v_unread, publish.caller());
  end if;
  if v_view is null then
    if v_key is not null then
      raise exception 'a key needs a view' using
        errcode = 'PT400',
        detail = format('kind %L, key %s', define.kind, v_key),
        hint = 'Pass view as well, or leave key out for a payload kind.';
    end if;
  else
    v_key := coalesce(v_key, array['id']);
    select k.name into v_missing
      from unnest(v_key) as k (name)
     where not exists (
       select from pg_attribute a
        where a.attrelid = define.view and a.attname = k.name
          and a.attnum > 0 and not a.attisdropped
     )
     limit 1;
    if found or cardinality(v_key) = 0
       or cardinality(v_key) <> (select count(distinct k.name) from unnest(v_key) as k (name)) then
      raise exception 'the view does not have the key column' using
        errcode = 'PT400',
        detail = format('kind %L, view %s, key %s, missing %L',
                        define.kind, v_view, v_key, v_missing),
        hint = publish.key_hint(define.view, v_missing);
    end if;
    select k.name into v_missing
      from unnest(v_key) as k (name)
      join pg_attribute a on a.attrelid = define.view and a.attname = k.name
      join pg_type t on t.oid = a.atttypid
     where t.typcategory = 'A' or t.typtype in ('c', 'p')
     limit 1;
    if found then
      raise exception 'a key column must be of a simple type' using
        errcode = 'PT400',
        detail = format('kind %L, view %s, column %L is an array or a row', define.kind, v_view,
                        v_missing),
        hint = 'Name the columns the key is made of; a key may have several.';
    end if;
    select k.name into v_missing
      from unnest(v_key) as k (name)
      join pg_attribute a on a.attrelid = define.view and a.attname = k.name
     where publish.key_operator(a.atttypid, 5) is null
     limit 1;
    if found then
      raise exception 'a key column must be of a type that has an order' using
        errcode = 'PT400',
        detail = format('kind %L, view %s, column %L has no default btree operator class',
                        define.kind, v_view, v_missing),
        hint = 'Cast it in the view, as in id::text as id.';
    end if;
  end if;

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
  update publish.kind k
     set former = array_remove(k.former, define.kind)
   where define.kind = any (k.former);
  insert into publish.kind as k
         (kind, view, key, schema_version, validator, retention, digest)
  values (define.kind, v_view, v_key, define.schema_version, v_validator, define.retention,
          publish.view_digest(v_view))
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
