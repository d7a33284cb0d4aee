create or replace function publish.check_job_id(id text) returns void
language plpgsql
immutable
as $$
begin
  if coalesce(octet_length(check_job_id.id), 0) not between 1 and 500 then
    raise exception 'a job''s id must be 1 to 500 bytes' using
      errcode = 'PT400',
      detail = format('id of %s bytes: %L', coalesce(octet_length(check_job_id.id)::text, 'null'),
                      left(check_job_id.id, 60)),
      hint = 'Pass what tells the job from all others, such as invoices:2024-05.';
  end if;
end
$$;
comment on function publish.check_job_id(text) is 'Errors: PT400 no id, or one over 500 bytes.';
revoke all on function publish.check_job_id(text) from public;
