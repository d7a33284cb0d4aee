-- A position counts only for what it was taken under: the same definition, the same wish to repair.
-- Its data is new then, which is no progress.
create or replace function publish.begin_verify(
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
   where j.id = begin_verify.id and j.token = begin_verify.token and j.status = 'running';
  if not found then
    perform publish.refuse_settling(begin_verify.id, begin_verify.token);
  end if;
  v_data := v_job.data || begin_verify.settings;
  v_under := (
    select jsonb_build_object('view', k.view, 'key', k.key, 'types', array_agg(c.type order by c.n),
                              'schema_version', k.schema_version, 'repair', v_data -> 'repair')
      from publish.check_kind(v_data ->> 'kind') k
     cross join publish.key_columns(k.kind) c
     group by k.view, k.key, k.schema_version);
  v_goes_on := coalesce(
    v_data ->> 'after' is not null and v_data -> 'under' = v_under
    and v_job.saved_at > coalesce(clock_timestamp() - begin_verify.within, '-infinity'), false);
  perform public.publish_job_beat(
    id => v_job.id, token => v_job.token,
    data => begin_verify.settings
      || case when v_goes_on then '{}'
              else begin_verify.fresh
                   || jsonb_build_object(
                        'after', null, 'done', 0, 'under', v_under,
                        'total', publish.estimated_keys(v_data ->> 'kind'),
                        'since', clock_timestamp()) end,
    lease => null::interval, progress => false);
  return v_goes_on;
end
$$;
comment on function publish.begin_verify(text, bigint, jsonb, jsonb, interval) is
  'Begins a run of a verify job, which walks over the kind in its data. True: it goes on from the '
  'position in there. False: it begins at the first key, because the kind was defined otherwise '
  'since, data.repair is another, or the position was saved longer ago than within. Then after is '
  'null, since is now, and fresh is merged in. settings are merged in any case. '
  'Errors: PT404 not a projected kind, PT409 another worker has the job.';
revoke all on function publish.begin_verify(text, bigint, jsonb, jsonb, interval) from public;
grant execute on function publish.begin_verify(text, bigint, jsonb, jsonb, interval)
  to publish_worker, publish_admin;
