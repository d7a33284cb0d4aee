create or replace function publish.gate_state(name name) returns text
language sql
as $$
  select md5(concat(
    (select string_agg(p::text, ',' order by p.oid)
       from pg_proc p
      where (p.pronamespace = 'publish_gate'::regnamespace
             or p.proowner = 'publish_projector'::regrole)
        and p.proname <> gate_state.name),
    (select string_agg(c::text, ',' order by c.oid)
       from pg_class c
      where (c.relnamespace = 'publish_gate'::regnamespace
             or c.relowner = 'publish_projector'::regrole)
        and c.relname <> gate_state.name),
    (select string_agg(d::text, ',' order by d.oid) from pg_default_acl d)))
$$;
comment on function publish.gate_state(name) is
  'A digest of all that is in publish_gate or belongs to publish_projector, but for this name: to '
  'see whether it changed.';
revoke all on function publish.gate_state(name) from public;
