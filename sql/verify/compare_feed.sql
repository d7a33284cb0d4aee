-- STABLE, as publish.compare_view.
create or replace function publish.compare_feed(
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
  v_live text[];
  v_twice text[];
  v_shown text[];
begin
  with page as materialized (
    select p.source_id, p.deleted
      from publish.published p
     where p.kind = compare_feed.kind and p.source_id > compare_feed.after
     order by p.source_id
     fetch first (compare_feed.batch) rows with ties
  )
  select count(*), max(p.source_id), array_agg(p.source_id) filter (where not p.deleted),
         (select array_agg(d.source_id)
            from (select q.source_id from page q group by q.source_id having count(*) > 1) d)
    into compare_feed.checked, compare_feed.next, v_live, v_twice
    from page p;
  begin
    v_shown := publish.shown(compare_feed.kind, v_live);
  exception when data_exception or integrity_constraint_violation or sqlstate 'PT422' then
    -- Keys of before the kind was defined with other types: the view cannot show them.
    v_shown := publish.shown(compare_feed.kind, array(
      select l.id from unnest(v_live) as l (id) where publish.is_key(compare_feed.kind, l.id)));
  end;
  if cardinality(v_shown) > cardinality(v_live) then
    v_twice := v_twice || array(select s.id from unnest(v_shown) as s (id)
                                 group by s.id having count(*) > 1);
  end if;
  select array_agg(f.id), array_agg(f.problem)
    into compare_feed.source_ids, compare_feed.problems
    from (select distinct t.id, 'duplicate' as problem from unnest(v_twice) as t (id)
          union all
          (select l.id, 'surplus' from unnest(v_live) as l (id)
           except
           select s.id, 'surplus' from unnest(v_shown) as s (id))) f;
  if compare_feed.checked < compare_feed.batch then
    compare_feed.next := null;
  end if;
end
$$;
comment on function publish.compare_feed(text, text, int) is
  'Looks in the view for the next batch of published rows above source_id "after": surplus (the '
  'view does not show it) or duplicate (it or the feed has several rows of the key). next: where '
  'to go on, or null.';
revoke all on function publish.compare_feed(text, text, int) from public;
