create or replace function publish.unneeded_tables(kind text) returns setof text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  with needed as (
    select d.relid
      from (select r.relid
              from publish.check_kind(unneeded_tables.kind) k
             cross join lateral publish.view_reads(to_regclass(k.view)) r
            union
            select publish.captured_table(c.capture_id)
              from publish.capture c where c.kind = unneeded_tables.kind
            union
            select l.relid
              from publish.capture c
             cross join lateral publish.lookup_reads(c.capture_id) as l (relid)
             where c.kind = unneeded_tables.kind) n
     cross join lateral publish.with_descendants(n.relid) as d (relid)
  )
  select format('%I.%I', n.nspname, c.relname)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'm') and c.relpersistence <> 't'
     and case when n.nspname = 'publish'
              then c.relname ~ '^(published|outbox|deferred|job|parked|batch|lane|drain$)'
              else n.nspname !~ '^(pg_|information_schema$)'
                   and c.oid not in (select d.relid from needed d) end
   order by 1
$$;
comment on function publish.unneeded_tables(text) is
  'Tables whose rows a check of this kind does not read: for a scratch copy without them. Errors: '
  'PT404 kind not defined.';
revoke all on function publish.unneeded_tables(text) from public;
grant execute on function publish.unneeded_tables(text) to publish_admin;
