create or replace function publish.count_keys(
  view regclass,
  key text[],
  out rows bigint,
  out keys bigint,
  out nulls bigint
)
language plpgsql
stable
as $$
begin
  execute format(
    'select sum(g.n), count(*), sum(g.n) filter (where g.has_null)'
    ' from (select count(*) as n, not row(%1$s) is not null as has_null'
    '         from %2$s v group by %1$s) g',
    (select string_agg(format('v.%I', k.name), ', ' order by k.n)
       from unnest(count_keys.key) with ordinality as k (name, n)), count_keys.view)
    into count_keys.rows, count_keys.keys, count_keys.nulls;
  count_keys.rows := coalesce(count_keys.rows, 0);
  count_keys.nulls := coalesce(count_keys.nulls, 0);
end
$$;
comment on function publish.count_keys(regclass, text[]) is
  'Rows of a view, distinct values of these columns, and rows in which one of them is null. Reads '
  'all of the view, as the caller.';
revoke all on function publish.count_keys(regclass, text[]) from public;
grant execute on function publish.count_keys(regclass, text[]) to publish_admin;
