create or replace function publish.entry_sql(kind publish.kind, rows text) returns text
language sql
stable
as $$
  select format($sql$array(
      select row(r.mark, r.source_id, case when f.fault is null then r.payload end,
                 case when f.fault is null
                      then sha256(convert_to(r.payload::text, 'UTF8')) end,
                 r.deleted, case when f.fault is not null then 'PT422' end,
                 f.fault)::publish.entry
        from (%s) r
       cross join lateral (
         select case when r.copies > 1
                     then format('the view shows %%s rows for this key', r.copies)
                     else %s end as fault) f)$sql$,
    entry_sql.rows, publish.fault_sql(entry_sql.kind, 'r.payload'))
$$;
comment on function publish.entry_sql(publish.kind, text) is
  'SQL that makes an array of entries of "rows", a query of mark, source_id, payload, deleted and '
  'copies: with hash, and limits and validator checked key by key.';
revoke all on function publish.entry_sql(publish.kind, text) from public;
