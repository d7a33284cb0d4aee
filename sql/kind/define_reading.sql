-- The row of publish.kind is locked by publish.define. Rows of a former scope would be shown to
-- readers of another that has the same name, so they have to be gone first. A tombstone shows
-- nothing.
create or replace function publish.define_reading(kind text, scope text, show_key boolean)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_kind publish.kind := publish.check_kind(define_reading.kind);
  v_scope text := nullif(coalesce(define_reading.scope, v_kind.scope), '');
begin
  if v_kind.view is not null and v_scope is not null and not exists (
    select from pg_attribute a
     where a.attrelid = to_regclass(v_kind.view) and a.attname = v_scope
       and a.attnum > 0 and not a.attisdropped
  ) then
    raise exception 'the view does not have the scope''s column' using
      errcode = 'PT400',
      detail = format('kind %L, view %s, scope %L', v_kind.kind, v_kind.view, v_scope),
      hint = 'Let the view show the column, or pass scope => '''' for none.';
  end if;
  if v_scope is distinct from v_kind.scope and (
    select p.scope is not null or v_kind.view is null and v_scope is not null
      from (select p.scope
              from publish.published p
             where v_kind.view is null
               and (p.kind, p.rev) > (v_kind.kind, 0) and p.kind <= v_kind.kind
               and not p.deleted
             order by p.kind, p.rev limit 1) p
     union all
    select true
      from (select from publish.published p
             where v_scope is not null and p.scope is not null and not p.deleted
               and (p.kind, p.scope) >= (v_kind.kind, '') and p.kind <= v_kind.kind
             order by p.kind, p.scope limit 1) p
     order by 1 desc limit 1
  ) then
    raise exception 'rows without this scope are published' using
      errcode = 'PT400',
      detail = format('kind %L, scope %L, before %L', v_kind.kind, v_scope, v_kind.scope),
      hint = 'Of a view: pass scope => '''' and wait for the walk to end. Of a payload kind: '
             'define another kind.';
  end if;
  update publish.kind k
     set scope = v_scope, show_key = coalesce(define_reading.show_key, k.show_key)
   where k.kind = v_kind.kind
     and (k.scope, k.show_key)
         is distinct from (v_scope, coalesce(define_reading.show_key, k.show_key));
  if v_scope is distinct from v_kind.scope and v_kind.view is not null then
    perform publish.request_walk(v_kind.kind, 'defined again');
  end if;
end
$$;
comment on function publish.define_reading(text, text, boolean) is
  'Writes scope and show_key for publish_define, which documents them.';
revoke all on function publish.define_reading(text, text, boolean) from public;
grant execute on function publish.define_reading(text, text, boolean) to publish_admin;
