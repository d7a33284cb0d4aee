create or replace function public.publish_set(
  name text,
  value text default null,
  kind text default null
) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_setting publish.setting;
  v_value text;
begin
  select s.* into v_setting from publish.setting s where s.name = publish_set.name;
  if not found then
    raise exception 'there is no such setting' using
      errcode = 'PT404',
      detail = format('%L', left(publish_set.name, 60)),
      hint = 'See publish_settings() for what can be set.';
  end if;
  if publish_set.kind is not null then
    perform publish.check_kind(publish_set.kind);
  end if;
  if v_setting.scope = 'kind' and publish_set.kind is null
     or v_setting.scope = 'installation' and publish_set.kind is not null then
    raise exception 'the setting is of another scope' using
      errcode = 'PT400',
      detail = format('%s is of scope %s; kind %L', v_setting.name, v_setting.scope,
                      publish_set.kind),
      hint = case v_setting.scope when 'kind' then 'Pass a kind.' else 'Leave the kind out.' end;
  end if;
  if publish_set.value is not null then
    v_value := publish.check_setting(v_setting, publish_set.value);
  end if;
  if publish_set.kind is null then
    update publish.setting s
       set value = v_value, updated_at = clock_timestamp()
     where s.name = v_setting.name;
  else
    update publish.kind k
       set settings = case when v_value is null then k.settings - v_setting.name
                           else k.settings || jsonb_build_object(v_setting.name, v_value) end,
           updated_at = clock_timestamp()
     where k.kind = publish_set.kind;
  end if;
  if v_setting.name = 'publishing' then
    perform publish.wake();
  elsif v_setting.name = 'depth_limit' then
    perform publish.renew_captures();
  end if;
  return publish.setting_of(v_setting.name, publish_set.kind);
end
$$;
comment on function public.publish_set(text, text, text) is
  'Sets a setting of the installation or of one kind, and returns the value that counts now. '
  'value null: back to the default, for a kind to that of the installation. publish_settings() '
  'lists them. Errors: PT404 no such setting or kind, PT400 not a value of it, or not for a kind.';
revoke all on function public.publish_set(text, text, text) from public;
grant execute on function public.publish_set(text, text, text) to publish_admin;
