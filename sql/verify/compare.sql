-- One call is one snapshot: STABLE functions see that of the query that calls them.
create or replace function publish.compare(
  kind text,
  side text,
  after text,
  batch int,
  out next text,
  out checked int,
  out pending int,
  out source_ids text[],
  out problems text[]
)
language plpgsql
stable
as $$
declare
  v_page record;
  v_unsettled text[];
begin
  if compare.side = 'view' then
    select c.* into v_page from publish.compare_view(compare.kind, compare.after, compare.batch) c;
  else
    select c.* into v_page
      from publish.compare_feed(compare.kind, coalesce(compare.after, ''), compare.batch) c;
  end if;
  compare.next := v_page.next;
  compare.checked := v_page.checked;
  v_unsettled := case when cardinality(v_page.source_ids) > 0
                      then publish.unsettled(compare.kind, v_page.source_ids) else '{}' end;
  select count(*) filter (where f.unsettled),
         array_agg(f.source_id) filter (where not f.unsettled),
         array_agg(f.problem) filter (where not f.unsettled)
    into compare.pending, compare.source_ids, compare.problems
    from (select p.source_id, p.problem,
                 p.problem <> 'duplicate'
                 and p.source_id in (select unnest(v_unsettled)) as unsettled
            from unnest(v_page.source_ids, v_page.problems) as p (source_id, problem)) f;
end
$$;
comment on function publish.compare(text, text, text, int) is
  'A page of publish.compare_view or publish.compare_feed, as side says, in one snapshot. '
  'pending: how many keys differ and are still to be drained or quarantined; these are left out.';
revoke all on function publish.compare(text, text, text, int) from public;
