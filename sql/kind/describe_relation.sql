-- Text of a type that is listed as exact is equal where its values are, under any settings that a
-- projection pins: such a column may stand for another that it equals. That of char(n) is without
-- its blanks, that of numeric(n, 0) has no fraction.
create or replace function publish.describe_relation(relation regclass) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'name', format('%I.%I', n.nspname, c.relname), 'relkind', c.relkind,
    'rows', greatest(c.reltuples, 0)::bigint,
    'inherited', c.relkind = 'r' and exists (select from pg_inherits h where h.inhparent = c.oid),
    'secured', c.relrowsecurity and not exists (
      select from pg_roles r
       where r.rolname = 'publish_projector' and (r.rolbypassrls or r.rolsuper)),
    'columns', (
      select jsonb_agg(jsonb_build_object(
               'name', a.attname, 'type', format_type(a.atttypid, -1),
               'base', format_type(b.oid, -1),
               'exact', b.typnamespace = 'pg_catalog'::regnamespace
                        and b.typname in ('int2', 'int4', 'int8', 'oid', 'bool', 'uuid', 'date',
                                          'text', 'varchar', 'bpchar', 'timestamp', 'timestamptz')
                        and coalesce(o.collisdeterministic, true)
                        or b.typname = 'numeric' and m.typmod > 4 and (m.typmod - 4) & 65535 = 0
                        or b.typtype = 'e',
               'not_null', a.attnotnull,
               'distinct', coalesce(
                 (select case when s.n_distinct < 0 then -s.n_distinct * greatest(c.reltuples, 1)
                              else s.n_distinct end::bigint
                    from pg_stats s
                   where s.schemaname = n.nspname and s.tablename = c.relname
                     and s.attname = a.attname
                   order by s.inherited
                   limit 1), 0))
             order by a.attnum)
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
        left join pg_collation o on o.oid = a.attcollation
       cross join greatest(a.atttypmod, t.typtypmod) as m (typmod)
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'indexes', (
      select coalesce(jsonb_agg(jsonb_build_object(
               'name', i.indexrelid::regclass::text, 'primary', i.indisprimary,
               'unique', i.indisunique and i.indpred is null
                         and 0 <> all (i.indkey::int2[]),
               'whole', i.indpred is null,
               'expressions', (select jsonb_agg(pg_get_indexdef(i.indexrelid, k.n::int, true))
                                 from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
                                where k.attnum = 0),
               'columns', (select jsonb_agg(a.attname order by k.n)
                             from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
                             left join pg_attribute a on a.attrelid = c.oid
                                                     and a.attnum = k.attnum and k.attnum > 0
                            where k.n <= i.indnkeyatts))
             order by not i.indisprimary, i.indexrelid::regclass::text), '[]')
        from pg_index i
       where i.indrelid = c.oid and i.indisvalid))
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
   where c.oid = describe_relation.relation
$$;
comment on function publish.describe_relation(regclass) is
  'A table or view for those who plan a capture: name, relkind, rows as last analyzed, '
  'inherited if other tables are its children and may hold what is unique in it, secured if '
  'lookups fail for its row security, columns '
  '(type, the base type of a domain, whether equal values have equal text, not null, distinct '
  'values as last analyzed, 0 if unknown) and indexes (columns, null for an expression).';
revoke all on function publish.describe_relation(regclass) from public;
grant execute on function publish.describe_relation(regclass) to publish_admin;
