-- STABLE, so that all its queries see one snapshot: the view, the feed, the outbox and the drain's
-- position agree. The payloads are compared byte by byte; only where they differ is the hash asked,
-- which equal data written in another way shares.
create or replace function publish.compare_view(
  kind text,
  after text,
  batch int,
  out next text,
  out checked int,
  out source_ids text[],
  out problems text[]
)
language plpgsql
stable
as $$
declare
  v_sql record;
  v_page text;
  v_keys text[];
begin
  select p.* into v_sql from publish.page_sql(compare_view.kind, compare_view.after) p;
  v_page := format('select %s as source_id, to_jsonb(v.*) as payload, false as fails %s'
                   ' fetch first $2 rows with ties', v_sql.source_id, v_sql.page);
  <<again>>
  loop
    begin
      execute format($query$
        select count(*), (array_agg(c.source_id))[count(*)],
               array_agg(c.source_id) filter (where c.problem <> 'same'),
               array_agg(c.problem) filter (where c.problem <> 'same')
          from (
            select n.source_id,
                   case when n.fails or octet_length(n.source_id) not between 1 and 2000
                        then 'unpublishable'
                        when p.rev is null or p.deleted then 'missing'
                        when p.schema_version = $3
                             and (record_image_eq(row(p.payload), row(n.payload))
                                  or p.payload_hash
                                     = sha256(convert_to(n.payload::text, 'UTF8'))) then 'same'
                        else 'stale' end as problem
              from (%s) n
              left join lateral (
                select p.* from publish.published p
                 where p.kind = $1 and p.source_id = n.source_id
                 order by p.rev desc
                 limit 1) p on true) c$query$, v_page)
        into compare_view.checked, compare_view.next, compare_view.source_ids,
             compare_view.problems
       using compare_view.kind, compare_view.batch,
             (select k.schema_version from publish.kind k where k.kind = compare_view.kind),
             v_keys;
      exit again;
    exception
      when operator_intervention or transaction_rollback or insufficient_resources
           or lock_not_available then
        raise;
      when others then
        if v_keys is not null then
          raise;
        end if;
    end;
    -- The view fails for a key of the page: its keys alone, and then one by one which it is.
    execute format('select array(select %s %s limit $1)', v_sql.source_id, v_sql.page)
       into v_keys
      using compare_view.batch;
    v_page := 'select p.source_id, p.payload, p.sqlstate_of is not null as fails'
              '  from publish.project($1, $4, array_fill(0::bigint, array[cardinality($4)]),'
              '                       array_fill(null::jsonb, array[cardinality($4)])) p limit $2';
  end loop;
  if v_keys is not null then
    compare_view.checked := cardinality(v_keys);
    compare_view.next := v_keys[compare_view.checked];
  end if;
  if compare_view.checked < compare_view.batch then
    compare_view.next := null;
  end if;
end
$$;
comment on function publish.compare_view(text, text, int) is
  'Compares the view''s next batch of keys above "after" with what is published of them: '
  'unpublishable (the key is empty or too long, or its projection fails), missing or stale. '
  'next: where to go on, or null.';
revoke all on function publish.compare_view(text, text, int) from public;
