create or replace function publish.serve_jobs(role name, status text) returns jsonb
language sql
stable
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
           'id', j.id, 'kind', j.kind, 'status', j.status, 'worker', j.worker, 'started_at',
           j.started_at, 'attempts', j.attempts, 'error', j.error, 'message', left(j.message, 500),
           'due_at', j.due_at, 'data', jsonb_build_object('done', j.data -> 'done',
                                                          'total', j.data -> 'total'))
           order by j.created_at desc, j.id), '[]')
    from public.publish_jobs(status => serve_jobs.status, kind => null, batch => 20,
                             oldest_first => false, id => null) j
   where publish.may_call(serve_jobs.role, 'publish_jobs')
$$;
comment on function publish.serve_jobs(name, text) is
  'The newest 20 jobs of a status, as far as the page of pgpublish serve shows them: of their data '
  'done and total only. None for a role that may not call publish_jobs.';
revoke all on function publish.serve_jobs(name, text) from public;
