-- One row comparison where one operator serves all columns, as an index on the key answers it
-- exactly; else the first column bounds the scan and the rest is filtered.
create or replace function publish.page_sql(kind text, after text) returns text
language plpgsql
stable
as $$
declare
  v_view text := (select k.view from publish.kind k where k.kind = page_sql.kind);
  v_refs text := (select string_agg(k.ref, ', ' order by k.n)
                    from publish.key_columns(page_sql.kind) k);
  v_above text;
begin
  if page_sql.after is not null then
    perform publish.check_position(page_sql.kind, page_sql.after);
    with part as (
      select k.*, format('%L::%s', v.value, k.type) as value
        from publish.key_columns(page_sql.kind) k
        join unnest(publish.key_values(page_sql.kind, page_sql.after))
               with ordinality as v (value, n) on v.n = k.n
    ),
    step as (
      -- Equal in the columns before, above in this one.
      select a.n, concat_ws(' and ', string_agg(format('%s %s %s', b.ref, b.equals, b.value),
                                                ' and ' order by b.n) filter (where b.n < a.n),
                            format('%s %s %s', a.ref, a.above, a.value)) as above
        from part a
        left join part b on b.n < a.n
       group by a.n, a.ref, a.above, a.value
    )
    select case
      when count(distinct p.above) = 1
      then format('row(%s) %s row(%s)', v_refs, min(p.above),
                  string_agg(p.value, ', ' order by p.n))
      else concat_ws(' and ',
                     min(format('%s %s %s', p.ref, p.at_least, p.value)) filter (where p.n = 1),
                     (select format('(%s)', string_agg(s.above, ' or ' order by s.n)) from step s))
      end
      into v_above
      from part p;
  end if;
  -- Without keys that have a null part: a page that ended with one could not say where to go on.
  return format('from %s v where row(%s) is not null%s order by %2$s', v_view, v_refs,
                ' and (' || v_above || ')');
end
$$;
comment on function publish.page_sql(text, text) is
  'How to read the view''s keys above "after", in key order, by the operators and the collation of '
  'the key''s own types: the SQL from FROM to ORDER BY, for a LIMIT. '
  'Errors: PT404 not a projected kind, PT400 bad after.';
revoke all on function publish.page_sql(text, text) from public;
