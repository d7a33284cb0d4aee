create or replace function publish.job_retention() returns interval
language plpgsql
stable
as $$
declare
  v_retention interval;
begin
  begin
    v_retention := nullif(current_setting('publish.job_retention', true), '')::interval;
  exception when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
    v_retention := interval '-1 day';
  end;
  if v_retention not between interval '0' and interval '1000 years' then
    raise warning 'publish.job_retention is not a span of time: 30 days instead' using
      detail = format('It is %L.', current_setting('publish.job_retention')),
      hint = 'As in: alter database … set publish.job_retention = ''90 days''.';
    v_retention := null;
  end if;
  return coalesce(v_retention, interval '30 days');
end
$$;
comment on function publish.job_retention() is
  'How long finished jobs are kept: the setting publish.job_retention of the session, its role or '
  'its database; without it 30 days.';
revoke all on function publish.job_retention() from public;
