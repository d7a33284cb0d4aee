create or replace function publish.check_job_data(id text, data jsonb) returns void
language plpgsql
stable
as $$
begin
  if jsonb_typeof(check_job_data.data) is distinct from 'object' then
    raise exception 'a job''s data must be a JSON object' using
      errcode = 'PT400',
      detail = format('job %L, data %s', left(check_job_data.id, 60),
                      coalesce(jsonb_typeof(check_job_data.data), 'null')),
      hint = 'Pass it as in {"month": "2024-05"}.';
  end if;
  if octet_length(check_job_data.data::text) > 1048576 then
    raise exception 'a job''s data must be at most 1 MB' using
      errcode = 'PT400',
      detail = format('job %L, data of %s bytes', left(check_job_data.id, 60),
                      octet_length(check_job_data.data::text)),
      hint = 'Keep what is large in a table of yours, and its key in the data.';
  end if;
end
$$;
comment on function publish.check_job_data(text, jsonb) is
  'Errors: PT400 not a JSON object, or over 1 MB.';
revoke all on function publish.check_job_data(text, jsonb) from public;
