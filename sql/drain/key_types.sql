create or replace function publish.key_types(kind publish.kind) returns text[]
language sql
stable
as $$
  select array(select format_type(a.atttypid, -1)
                 from unnest(key_types.kind.key) with ordinality as c (name, n)
                 join pg_attribute a on a.attrelid = to_regclass(key_types.kind.view)
                                    and a.attname = c.name and not a.attisdropped
                order by c.n)
$$;
comment on function publish.key_types(publish.kind) is
  'Types of the key columns as the kind''s view has them now, as SQL names them.';
revoke all on function publish.key_types(publish.kind) from public;
