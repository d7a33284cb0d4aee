create or replace function publish.walk_unlogged() returns void
language sql
as $$
  select publish.request_walk(k.kind, 'an unlogged table may have been emptied')
    from (select distinct c.kind
            from publish.capture c
           cross join lateral publish.with_descendants(publish.captured_table(c.capture_id))
                                as d (relid)
            join pg_class t on t.oid = d.relid and t.relpersistence = 'u') k
$$;
comment on function publish.walk_unlogged() is
  'Asks for walks over the kinds that capture an unlogged table: crash recovery, a promotion and '
  'most restores empty it, and fire no trigger.';
revoke all on function publish.walk_unlogged() from public;
