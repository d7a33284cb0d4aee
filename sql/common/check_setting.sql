create or replace function publish.check_setting(setting publish.setting, value text) returns text
language plpgsql
stable
set intervalstyle = 'postgres'
as $$
declare
  v_of publish.setting := check_setting.setting;
  v_value text := trim(check_setting.value);
  v_fits boolean;
begin
  begin
    case v_of.type
      when 'interval' then
        -- A number alone would be seconds: whoever means days loses what was to be kept.
        v_fits := (v_value !~ '^[0-9.]+$' or v_value = '0')
                  and v_value::interval between v_of.lowest::interval and v_of.highest::interval;
        v_value := v_value::interval::text;
      when 'bytes' then
        v_fits := pg_size_bytes(v_value)
                  between pg_size_bytes(v_of.lowest) and pg_size_bytes(v_of.highest);
      when 'int' then
        v_fits := v_value::bigint between v_of.lowest::bigint and v_of.highest::bigint;
        v_value := v_value::bigint::text;
      else
        v_value := lower(v_value);
        v_fits := v_value = any (v_of.words);
    end case;
  exception when data_exception then
    v_fits := false;
  end;
  if v_fits is not true then
    raise exception 'this is no value of the setting' using
      errcode = 'PT400',
      detail = format('%s %L', v_of.name, left(check_setting.value, 60)),
      hint = case when v_of.type = 'word'
                  then format('Pass one of: %s.', array_to_string(v_of.words, ', '))
                  when v_of.type = 'interval'
                  then format('Pass a number with its unit, such as 30 days, from %s to %s.',
                              v_of.lowest, v_of.highest)
                  else format('Pass %s from %s to %s.', v_of.type, v_of.lowest, v_of.highest) end;
  end if;
  return v_value;
end
$$;
comment on function publish.check_setting(publish.setting, text) is
  'The value as it is kept. Errors: PT400 it is of another type, or out of bounds.';
revoke all on function publish.check_setting(publish.setting, text) from public;
