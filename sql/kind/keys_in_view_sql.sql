create or replace function publish.keys_in_view_sql(kind text) returns text
language sql
stable
as $$
  select case
    when count(*) = 1
    then format('select %s from %s v where %s any ($1::%s[])', s.source_id, k.view,
                min(format('%s %s', c.ref, c.equals)), min(c.type))
    else format(
      'select %s from (select publish.key_parts(u.id, %L) as part from unnest($1) as u (id)) u'
      ' cross join lateral (select v.* from %s v where %s) v',
      s.source_id, k.key, k.view,
      string_agg(format('%s %s u.part[%s]::%s', c.ref, c.equals, c.n, c.type), ' and '
                 order by c.n)) end
    from publish.kind k
   cross join publish.source_id_sql(k.kind) as s (source_id)
   cross join publish.key_columns(k.kind) c
   where k.kind = keys_in_view_sql.kind
   group by s.source_id, k.view, k.key
$$;
comment on function publish.keys_in_view_sql(text) is
  'The query for publish.keys_in_view, from $1 to the keys of it that the view shows.';
revoke all on function publish.keys_in_view_sql(text) from public;
