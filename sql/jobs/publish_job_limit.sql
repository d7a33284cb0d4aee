create or replace function public.publish_job_limit(kind text, max_running int) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  if coalesce(octet_length(publish_job_limit.kind), 0) not between 1 and 200
     or publish_job_limit.max_running < 1 then
    raise exception 'kind must be 1 to 200 bytes, and max_running 1 or more' using
      errcode = 'PT400',
      detail = format('kind %L, max_running %s', left(publish_job_limit.kind, 60),
                      coalesce(publish_job_limit.max_running::text, 'null')),
      hint = 'As in publish_job_limit(''invoice'', 3); null removes the limit.';
  end if;
  if publish_job_limit.max_running is null then
    delete from publish.job_limit m where m.kind = publish_job_limit.kind;
  else
    insert into publish.job_limit (kind, max_running)
    values (publish_job_limit.kind, publish_job_limit.max_running)
        on conflict on constraint job_limit_pkey do update
       set max_running = excluded.max_running;
  end if;
end
$$;
comment on function public.publish_job_limit(text, int) is
  'At most max_running jobs of this kind run at a time, over all workers; null: as many as may. '
  'What runs already goes on. Errors: PT400 bad argument.';
revoke all on function public.publish_job_limit(text, int) from public;
grant execute on function public.publish_job_limit(text, int) to publish_admin;
