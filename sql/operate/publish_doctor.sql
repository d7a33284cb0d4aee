-- Who cannot read a table says who has locked it, and nothing else.
create or replace function public.publish_doctor(old interval default '15 minutes')
returns setof publish.finding
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
begin
  if (publish_doctor.old between interval '0' and interval '1000 years') is not true then
    raise exception 'old must be 0 to 1000 years' using
      errcode = 'PT400',
      detail = format('old %s', coalesce(publish_doctor.old::text, 'null')),
      hint = 'Leave it out for 15 minutes.';
  end if;
  return query
    select f.*
      from (select d.* from publish.doctor_drain(publish_doctor.old) d
            union all
            select d.* from publish.doctor_maintain(publish_doctor.old) d
            union all
            select d.* from publish.doctor_delivery(publish_doctor.old) d
            union all
            select d.* from publish.doctor_roles() d
            union all
            select d.* from publish.doctor_server(publish_doctor.old) d
            union all
            select d.* from publish.doctor_settings() d
            union all
            select d.* from publish.doctor_cron() d
            union all
            select d.* from publish.doctor_locks(false) d) f
     order by f.severity, f.name, f.object;
exception when lock_not_available then
  return query select d.* from publish.doctor_locks(true) d;
  if not found then
    raise;
  end if;
end
$$;
comment on function public.publish_doctor(interval) is
  'Everything that is wrong, each with its values and its fix: errors stop something now, warnings '
  'will. old: what waits or lasts for so long is wrong. `pgpublish doctor` also looks at what the '
  'database cannot see. Needs a primary. If it cannot read a table for 5 s, it only says who has '
  'locked it. Errors: PT400 bad argument, 55P03 locked by somebody who is gone by now.';
revoke all on function public.publish_doctor(interval) from public;
grant execute on function public.publish_doctor(interval) to publish_worker, publish_admin;
