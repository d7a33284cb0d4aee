create or replace function publish.captured_table(capture_id int) returns regclass
language sql
stable
as $$
  select coalesce(
    (select t.typrelid::regclass
       from pg_proc p join pg_type t on t.oid = p.proargtypes[0]
      where p.pronamespace = 'publish_gate'::regnamespace
        and p.proname = format('capture_%s_key', captured_table.capture_id)),
    (select to_regclass(c.source)
       from publish.capture c
      where c.capture_id = captured_table.capture_id))
$$;
comment on function publish.captured_table(int) is
  'The table of a capture, also after it was renamed; null when it is gone.';
revoke all on function publish.captured_table(int) from public;
grant execute on function publish.captured_table(int) to publish_admin;
