create or replace function publish.look_up(via int, marks text[]) returns setof text
language plpgsql
stable
rows 1000
as $$
declare
  v_type text := (
    select p.proargtypes[0]::regtype::text
      from pg_proc p
     where p.pronamespace = 'publish'::regnamespace
       and p.proname = format('capture_%s_lookup', look_up.via));
begin
  if v_type is null then
    raise exception 'the lookup of a capture is gone' using
      errcode = 'PT404',
      detail = format('capture %s', look_up.via),
      hint = 'Capture the table again.';
  end if;
  return query execute format(
    'select distinct k.key from publish.capture_%s_lookup($1::%s) as k (key)'
    ' where octet_length(k.key) between 1 and 2000', look_up.via, v_type)
    using look_up.marks;
end
$$;
comment on function publish.look_up(int, text[]) is
  'The keys that a capture''s lookup finds for these marks. Errors: PT404 it is gone, and '
  'whatever it raises.';
revoke all on function publish.look_up(int, text[]) from public;
