create or replace function publish.cron_field(field text, low int, high int, names text[])
returns int[]
language plpgsql
immutable
as $$
declare
  v_part text;
  v_match text[];
  v_from int;
  v_to int;
  v_values int[] := '{}'::int[];
begin
  foreach v_part in array coalesce(string_to_array(upper(cron_field.field), ','), '{}'::text[]) loop
    v_match := regexp_match(
      v_part, '^(?:([*])|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(/([0-9]{1,2}))?$');
    v_from := case when v_match[1] is not null then cron_field.low
                   else coalesce(array_position(cron_field.names, v_match[2]) + cron_field.low - 1,
                                 case when v_match[2] ~ '^[0-9]' then v_match[2]::int end) end;
    v_to := case when v_match[3] is not null
                 then coalesce(array_position(cron_field.names, v_match[3]) + cron_field.low - 1,
                               case when v_match[3] ~ '^[0-9]' then v_match[3]::int end)
                 when v_match[1] is not null or v_match[4] is not null then cron_field.high
                 else v_from end;
    if (v_from between cron_field.low and cron_field.high
        and v_to between v_from and cron_field.high
        and coalesce(v_match[5], '1')::int > 0) is not true then
      return null;
    end if;
    v_values := v_values
                || array(select generate_series(v_from, v_to, coalesce(v_match[5], '1')::int));
  end loop;
  return nullif(v_values, '{}'::int[]);
end
$$;
comment on function publish.cron_field(text, int, int, text[]) is
  'The numbers that a field of a cron expression stands for, as in "*", "5", "1-5", "*/15" and '
  '"mon,wed"; the first of names is low. Null: it is none.';
revoke all on function publish.cron_field(text, int, int, text[]) from public;
