-- The range and the order leave one plan, as in publish.newest: the errors of a job would else be
-- looked for among those of another that fails often.
create or replace function publish.newest_errors(id text, most int)
returns setof publish.job_error
language sql
stable
as $$
  select e.*
    from publish.job_error e
   where e.id >= newest_errors.id and e.id <= newest_errors.id
   order by e.id desc, e.error_id desc
   limit newest_errors.most
$$;
comment on function publish.newest_errors(text, int) is
  'The failures of a job, the newest first, at most so many.';
revoke all on function publish.newest_errors(text, int) from public;
