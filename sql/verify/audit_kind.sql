create or replace function publish.audit_kind(kind text)
returns table (object text, problem text, hint text)
language plpgsql
as $$
declare
  v_kind publish.kind;
  v_key record;
  v_view regclass;
  v_all json;
  v_one json;
  v_detail text;
  v_hint text;
begin
  select k.* into v_kind from publish.kind k where k.kind = audit_kind.kind;
  return query
    select v_kind.validator, 'the validator is gone',
           'Create it again, or define the kind with another.'
     where to_regprocedure(v_kind.validator || '(jsonb)') is null and v_kind.validator is not null;
  return query
    select v_kind.kind, format('a walk over the kind fails: %s', r.message),
           'Correct the view; the walk is tried again by itself.'
      from publish.rescan r
     where r.kind = v_kind.kind and r.message is not null;
  if v_kind.view is null then
    return;
  end if;
  begin
    select c.* into v_key from publish.key_columns(v_kind.kind) c;
    execute format('explain (format json) select from %s v', v_key.view) into v_all;
    execute format('explain (format json) select from %s v where %s', v_key.view,
                   (select string_agg(format('%s = any (''{NULL}''::%s[])', r.ref, r.type), ' and ')
                      from unnest(v_key.refs, v_key.types) as r (ref, type)))
       into v_one;
  exception
    when operator_intervention or transaction_rollback or insufficient_resources
         or lock_not_available then
      raise;
    when others then
      get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
      return query
        select v_kind.view, concat_ws(': ', sqlerrm, nullif(v_detail, '')),
               coalesce(nullif(v_hint, ''), 'Restore the view, or define the kind over another.');
      return;
  end;
  v_view := to_regclass(v_kind.view);
  return query
    select v_kind.view, 'asking the view for one key costs as much as reading all of it',
           'Let the view show the key as a plain column that is indexed, without a cast.'
     where (v_all -> 0 -> 'Plan' ->> 'Plan Rows')::float8 > 1000
       and (v_one -> 0 -> 'Plan' ->> 'Total Cost')::float8 * 2
           > (v_all -> 0 -> 'Plan' ->> 'Total Cost')::float8;
  return query
    select t.relid::text, p.problem, p.hint
      from (select distinct r.relid from publish.view_reads(v_view) r) t
      join pg_class c on c.oid = t.relid
     cross join lateral (values (
       case c.relkind
         when 'm' then 'a materialized view changes when it is refreshed, which marks nothing'
         when 'f' then 'a foreign table changes elsewhere, which marks nothing'
         else 'the view reads this table, and nobody captures it' end,
       case c.relkind
         when 'm' then 'After each REFRESH, run pgpublish verify --repair.'
         when 'f' then 'Run pgpublish verify --repair as often as you need it.'
         else format('select publish_capture(%L, %L, …)', v_kind.kind, t.relid) end
     )) as p (problem, hint)
     where not publish.is_captured(v_kind.kind, t.relid);
  return query
    select r.relid::text,
           format('the view reads %s, and an update of that alone marks nothing',
                  string_agg(quote_ident(r.name), ', ' order by r.name)),
           'Capture the table again with these in columns, or without columns.'
      from publish.capture c
      join publish.view_reads(v_view) r on r.relid = publish.captured_table(c.capture_id)
     where c.kind = v_kind.kind and c.columns is not null and r.name is not null
       and not exists (select from pg_attribute a -- no trigger sees a virtual column
                        where a.attrelid = r.relid and a.attname = r.name
                          and a.attgenerated = 'v')
       and r.name not in (select w.name from publish.watched_columns(c.capture_id) as w (name))
     group by r.relid;
end
$$;
comment on function publish.audit_kind(text) is
  'What is wrong with the definition of a kind: a view, validator or column that is gone, a key '
  'that no index serves, a walk that fails, a table that nobody captures, a column that is '
  'missing from a capture''s columns.';
revoke all on function publish.audit_kind(text) from public;
