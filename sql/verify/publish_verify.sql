-- The pins are those of a projection: equal data must have equal text.
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
  v_keys text[];
begin
  perform publish.check_batch(publish_verify.batch);
  if (publish.check_kind(publish_verify.kind)).view is null then
    perform publish.key_columns(publish_verify.kind); -- says so
  end if;
  if publish_verify.after is not null and v_after is null then
    raise exception 'after is not a position of publish_verify' using
      errcode = 'PT400',
      detail = format('after %L', left(publish_verify.after, 60)),
      hint = 'Pass what the previous page returned as next, or nothing to begin.';
  end if;
  select p.* into v_page
    from publish.verify_page(
      kind => publish_verify.kind, side => v_side, after => v_after[2],
      batch => publish_verify.batch) p;
  publish_verify.next := case
    when v_page.next is not null then v_side || ':' || v_page.next
    when v_side = 'view' and v_page.checked is not null then 'feed:' end;
  publish_verify.checked := case when v_side = 'view' then coalesce(v_page.checked, 0) else 0 end;
  publish_verify.pending := v_page.pending;
  publish_verify.differences := v_page.differences;
  select count(*) filter (where d.problem = 'missing'), count(*) filter (where d.problem = 'stale'),
         count(*) filter (where d.problem = 'surplus'),
         count(*) filter (where d.problem = 'duplicate'),
         count(*) filter (where d.problem = 'unpublishable'), array_agg(d.source_id)
    into publish_verify.missing, publish_verify.stale, publish_verify.surplus,
         publish_verify.duplicate, publish_verify.unpublishable, v_keys
    from jsonb_to_recordset(v_page.differences) as d (source_id text, problem text);
  publish_verify.repaired := 0;
  if publish_verify.repair and cardinality(v_keys) > 0 then
    if publish_verify.duplicate > 0 and v_side = 'feed' then
      perform publish.retire_duplicates(publish_verify.kind, v_keys);
    end if;
    perform publish.append_marks(kind => publish_verify.kind, keys => v_keys);
    publish_verify.repaired := cardinality(v_keys) - publish_verify.unpublishable;
  end if;
end
$$;
comment on function public.publish_verify(text, boolean, text, int) is
  'Compares one page of the kind''s view with the feed and, when the view is done, one page of the '
  'feed with the view. Pass next as after, until next is null. differences lists the keys that '
  'differ, each with its problem: '
  'missing: the view shows the key, the feed does not. '
  'stale: the feed has another payload or schema_version. '
  'surplus: the feed shows the key, the view does not. '
  'duplicate: the view or the feed has several rows of the key. '
  'unpublishable: the key is empty or over 2,000 bytes, or its projection fails. With source_id '
  'null and a message: the view cannot be read, and no more was compared. '
  'A key that is still to be drained, or that is quarantined, is not listed: it counts as pending. '
  'checked: keys of the view. repair: the next drain publishes what differs; of duplicates in the '
  'feed all rows but the newest become tombstones at once. repaired counts these keys. '
  'Waits, without a lock, while a table that the view reads is being replaced. '
  'Errors: PT404 not a projected kind, PT400 bad batch or after, PT423 another transaction waits '
  'for a table that this transaction holds. To retire duplicates also: PT423 a drain is running, '
  'PT400 the transaction is not READ COMMITTED.';
revoke all on function public.publish_verify(text, boolean, text, int) from public;
grant execute on function public.publish_verify(text, boolean, text, int)
  to publish_worker, publish_admin;
