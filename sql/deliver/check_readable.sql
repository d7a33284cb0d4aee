create or replace function publish.check_readable(kinds text[]) returns void
language plpgsql
stable
as $$
declare
  v_reading publish.reading :=
    publish.narrow(publish.callers_reading(), check_readable.kinds);
begin
  if check_readable.kinds is null and v_reading.kinds is not null
     or cardinality(v_reading.scoped) > 0 then
    raise exception 'a subscription sends what its maker may read' using
      errcode = 'PT403',
      detail = format('role %I, kinds %s, scope %L', publish.caller(), v_reading.kinds,
                      v_reading.scope),
      hint = 'Name kinds that are granted to you in all scopes.';
  end if;
end
$$;
comment on function publish.check_readable(text[]) is
  'Raises PT403 unless the caller may read these kinds, null for all, in all scopes.';
revoke all on function publish.check_readable(text[]) from public;
