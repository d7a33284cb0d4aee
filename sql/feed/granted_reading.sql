-- rights says also which of the kinds have a scope: a kind that gets one hides rows. By number: a
-- kind that is renamed is the same.
create or replace function publish.granted_reading(kinds text[], scope text)
returns publish.reading
language plpgsql
stable
as $$
declare
  v_all boolean := '*' = any (granted_reading.kinds);
  v_kinds int[];
  v_scoped int[];
begin
  if v_all and granted_reading.scope is null then
    return null;
  end if;
  select array_agg(k.kind_no order by k.kind_no) filter (where not v_all),
         array_agg(k.kind_no order by k.kind_no)
           filter (where k.scope is not null and granted_reading.scope is not null)
    into v_kinds, v_scoped
    from publish.kind k
   where v_all or k.kind = any (granted_reading.kinds);
  return row(case when not v_all then granted_reading.kinds end, granted_reading.scope, null,
             left(md5(jsonb_build_array(v_all, v_kinds, granted_reading.scope, v_scoped)::text),
                  8))::publish.reading;
end
$$;
comment on function publish.granted_reading(text[], text) is
  'What somebody reads who was granted these kinds, * for all, and with a scope of rows that have '
  'one those of it.';
revoke all on function publish.granted_reading(text[], text) from public;
