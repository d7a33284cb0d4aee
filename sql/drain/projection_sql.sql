-- One key of one column that mark and view spell alike, the usual case of a trickle, needs neither
-- sort nor join. v_keys is qualified where the view is read: it may have a column of that name. An
-- array, because a variable cannot be of a domain that is NOT NULL.
create or replace function publish.projection_sql(kind publish.kind) returns text
language sql
stable
as $$
  select case when count(*) > 1
              then format('begin return %s; end', publish.many_sql(projection_sql.kind))
  else format($sql$
<<given>>
declare
  v_keys %1$s[];
  v_ids text[];
  v_payloads jsonb[];
  v_payload jsonb;
  v_fault text;
begin
  if cardinality(marks) = 1 then
    v_keys := array[marks[1].source_id]::%1$s[];
    select array_agg(s.source_id), array_agg(s.payload) into v_ids, v_payloads
      from (select %2$s as source_id, to_jsonb(v.*) as payload
              from %3$s v where %4$s given.v_keys[1] limit 2) s;
    if v_ids is null or v_ids = v_keys::text[] then
      v_payload := v_payloads[1];
      v_fault := %5$s;
      return array[row(marks[1], v_keys[1]::text, case when v_fault is null then v_payload end,
                       case when v_fault is null
                            then sha256(convert_to(v_payload::text, 'UTF8')) end,
                       v_payload is null, case when v_fault is not null then 'PT422' end,
                       v_fault)::publish.entry];
    end if;
  end if;
  v_keys := array(select m.source_id from unnest(marks) m)::%1$s[];
  return %6$s;
end$sql$,
    min(k.type), publish.source_id_sql(projection_sql.kind.kind), projection_sql.kind.view,
    min(format('%s %s', k.ref, k.equals)), publish.fault_sql(projection_sql.kind, 'v_payload'),
    publish.many_sql(projection_sql.kind)) end
    from publish.key_columns(projection_sql.kind.kind) k
$$;
comment on function publish.projection_sql(publish.kind) is
  'The body of publish_gate.project_<kind_no>(marks publish.mark[]) returns publish.entry[]. '
  'Errors: PT404 when the view or a key column is missing.';
revoke all on function publish.projection_sql(publish.kind) from public;
