-- One call is one snapshot, as all that it calls is STABLE: the view, the feed, the marks and the
-- drain's position agree. The settings are for our own queries, each of which one index answers,
-- for any statistics; the gate undoes them for the view.
create or replace function publish.compare(
  kind text,
  side text,
  after text,
  batch int,
  out next text,
  out checked int,
  out pending int,
  out differences jsonb
)
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_page publish.mark[];
  v_is_locked boolean;
begin
  v_page := case
    when compare.side = 'view'
    then publish.view_page(kind => compare.kind, after => compare.after, batch => compare.batch)
    else publish.feed_page(kind => compare.kind, after => coalesce(compare.after, ''),
                           batch => compare.batch) end;
  with found as materialized (
    select f.source_id, f.problem
      from publish.compare_view(compare.kind, v_page) f
     where compare.side = 'view'
    union all
    select f.source_id, f.problem
      from publish.compare_feed(compare.kind, v_page) f
     where compare.side = 'feed'
  ),
  waiting as materialized (
    select w.source_id
      from publish.pending_keys(
        compare.kind,
        -- No drain makes one row of two in the feed.
        array(select f.source_id
                from found f
               where compare.side = 'view' or f.problem <> 'duplicate')) as w (source_id)
  )
  select count(w.source_id),
         jsonb_agg(jsonb_build_object('source_id', f.source_id, 'problem', f.problem)
                   order by f.source_id)
           filter (where w.source_id is null),
         bool_or(f.problem = 'locked')
    into compare.pending, compare.differences, v_is_locked
    from found f
    left join waiting w on w.source_id = f.source_id;
  if v_is_locked then
    raise lock_not_available;
  end if;
  compare.checked := cardinality(v_page);
  compare.next := case
    when compare.checked >= compare.batch then (v_page[compare.checked]).source_id end;
end
$$;
comment on function publish.compare(text, text, text, int) is
  'Compares a page of the view with the feed, or of the feed with the view, as side says, in one '
  'snapshot. next: the key after which to go on, or null. checked: rows of the page. pending: how '
  'many keys differ and are still to be drained or quarantined; differences lists the others. '
  'Errors: 55P03 a table is being replaced; PT400 bad after; those of the view.';
revoke all on function publish.compare(text, text, text, int) from public;
