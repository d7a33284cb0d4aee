-- A position counts only for what it was taken under: the same definition, the same wish to repair.
-- A run that is lost before its first page has got no further, whatever is new in its data.
create or replace function publish.begin_walk(
  id text,
  token bigint,
  settings jsonb default '{}',
  fresh jsonb default '{}',
  within interval default null
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_job publish.job;
  v_data jsonb;
  v_under jsonb;
  v_goes_on boolean;
begin
  select j.* into v_job
    from publish.job j
   where j.id = begin_walk.id and j.token = begin_walk.token and j.status = 'running';
  if not found then
    perform publish.refuse_settling(begin_walk.id, begin_walk.token);
  end if;
  v_data := v_job.data || begin_walk.settings;
  v_under := (
    select jsonb_build_object('view', c.view, 'key', c.columns, 'types', c.types,
                              'schema_version', k.schema_version, 'repair', v_data -> 'repair')
      from publish.key_columns(v_data ->> 'kind') c
      join publish.kind k on k.kind = v_data ->> 'kind');
  v_goes_on := coalesce(
    v_data ->> 'after' is not null and v_data -> 'under' = v_under
    and v_job.saved_at > coalesce(clock_timestamp() - begin_walk.within, '-infinity'), false);
  perform public.publish_job_beat(
    v_job.id, v_job.token,
    begin_walk.settings
      || case when v_goes_on then '{}'
              else begin_walk.fresh
                   || jsonb_build_object(
                        'after', null, 'done', 0, 'under', v_under,
                        'total', publish.estimated_keys(v_data ->> 'kind'),
                        'since', clock_timestamp()) end);
  if not v_goes_on then
    update publish.job j
       set lost_hash = sha256(convert_to(j.data::text, 'UTF8'))
     where j.id = v_job.id and j.token = v_job.token;
  end if;
  return v_goes_on;
end
$$;
comment on function publish.begin_walk(text, bigint, jsonb, jsonb, interval) is
  'Begins a run of a job that walks over the kind of its data. True: it goes on from the position '
  'in there. False: the kind was defined otherwise since, data.repair is another, or it was last '
  'saved longer ago than within; then after is null again, since is now, and fresh is merged in. '
  'settings is in any case. Errors: PT404 not a projected kind, PT409 another worker has the job.';
revoke all on function publish.begin_walk(text, bigint, jsonb, jsonb, interval) from public;
grant execute on function publish.begin_walk(text, bigint, jsonb, jsonb, interval)
  to publish_worker, publish_admin;
