create or replace function publish.check_cron(every interval default '1 minute') returns void
language plpgsql
stable
as $$
declare
  v_version int[] := (
    select string_to_array(substring(e.extversion from '^[0-9]+[.][0-9]+'), '.')::int[]
      from pg_extension e
     where e.extname = 'pg_cron');
begin
  if v_version is null then
    raise exception 'pg_cron is not in this database' using
      errcode = 'PT404',
      detail = format('Database %I.', current_database()),
      hint = 'If it is in another one: pgpublish cron install --in DATABASE.';
  end if;
  if check_cron.every < interval '1 minute' and v_version < array[1, 5] then
    raise exception 'this pg_cron knows no seconds' using
      errcode = 'PT400',
      detail = format('Its version is %s, every %s.', array_to_string(v_version, '.'),
                      check_cron.every),
      hint = 'Leave it out: each minute a job starts that publishes within a second.';
  end if;
end
$$;
comment on function publish.check_cron(interval) is
  'Errors: PT404 pg_cron is not in this database, PT400 it is too old for a schedule in seconds.';
revoke all on function publish.check_cron(interval) from public;
grant execute on function publish.check_cron(interval) to publish_worker, publish_admin;
