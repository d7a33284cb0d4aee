-- The plan settings and pins are those of a projection: equal data must have equal text.
create or replace function public.publish_verify(
  kind text,
  repair boolean default false,
  after text default null,
  batch int default 1000,
  out next text,
  out checked int,
  out missing int,
  out stale int,
  out surplus int,
  out duplicate int,
  out unpublishable int,
  out pending int,
  out repaired int,
  out differences jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
as $$
declare
  v_after text[] := regexp_match(publish_verify.after, '^(view|feed):(.*)$');
  v_side text := coalesce(v_after[1], 'view');
  v_page record;
begin
  perform publish.check_batch(publish_verify.batch);
  perform publish.hold_tables(to_regclass(c.view)) from publish.key_columns(publish_verify.kind) c;
  if publish_verify.after is not null and v_after is null then
    raise exception 'after is not a position of publish_verify' using
      errcode = 'PT400',
      detail = format('after %L', left(publish_verify.after, 60)),
      hint = 'Pass what the previous page returned as next, or nothing to begin.';
  end if;
  select c.* into v_page
    from publish.compare(publish_verify.kind, v_side, v_after[2], publish_verify.batch) c;
  publish_verify.next := case
    when v_page.next is not null then v_side || ':' || v_page.next
    when v_side = 'view' then 'feed:' end;
  publish_verify.checked := case when v_side = 'view' then v_page.checked else 0 end;
  publish_verify.pending := v_page.pending;
  publish_verify.repaired := 0;
  select count(*) filter (where f.problem = 'missing'), count(*) filter (where f.problem = 'stale'),
         count(*) filter (where f.problem = 'surplus'),
         count(*) filter (where f.problem = 'duplicate'),
         count(*) filter (where f.problem = 'unpublishable'),
         jsonb_agg(jsonb_build_object('source_id', f.source_id, 'problem', f.problem))
    into publish_verify.missing, publish_verify.stale, publish_verify.surplus,
         publish_verify.duplicate, publish_verify.unpublishable, publish_verify.differences
    from unnest(v_page.source_ids, v_page.problems) as f (source_id, problem);
  if publish_verify.repair and cardinality(v_page.source_ids) > 0 then
    if publish_verify.duplicate > 0 then
      perform publish.retire_duplicates(publish_verify.kind, v_page.source_ids);
    end if;
    perform publish.mark(publish_verify.kind, v_page.source_ids);
    publish_verify.repaired := cardinality(v_page.source_ids) - publish_verify.unpublishable;
  end if;
end
$$;
comment on function public.publish_verify(text, boolean, text, int) is
  'Compares a page of the kind''s view with the feed, and at the end the feed with the view; pass '
  'next as after, until it is null. missing: the view shows it and the feed does not; stale: the '
  'feed has another payload or schema_version; surplus: the view does not show it any more; '
  'duplicate: the view or the feed has several rows of the key; unpublishable: the key is empty or '
  'over 2,000 bytes, or its projection fails. differences lists them. What is still to be drained, '
  'or quarantined, only counts as pending: writes and drains beside it raise no alarm. checked: '
  'keys of the view. repair marks '
  'what differs for the next drain, and retires duplicates at once; repaired counts those keys. '
  'Errors: PT404 not a projected kind, PT400 bad batch or after; when there are duplicates to '
  'retire, PT423 a drain is running, PT400 the transaction is not READ COMMITTED.';
revoke all on function public.publish_verify(text, boolean, text, int) from public;
grant execute on function public.publish_verify(text, boolean, text, int)
  to publish_worker, publish_admin;
