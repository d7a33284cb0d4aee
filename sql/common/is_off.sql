create or replace function publish.is_off() returns boolean
language plpgsql
stable
as $$
begin
  return exists (select from publish.setting s where s.name = 'publishing' and s.value = 'off');
end
$$;
comment on function publish.is_off() is 'Whether publishing is switched off as a whole.';
revoke all on function publish.is_off() from public;
grant execute on function publish.is_off() to publish_worker, publish_admin;
