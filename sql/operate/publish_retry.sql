create or replace function public.publish_retry(
  kind text default null,
  source_id text default null
) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_due int;
begin
  if publish_retry.kind is not null then
    perform publish.check_kind(publish_retry.kind);
  elsif publish_retry.source_id is not null then
    raise exception 'a key needs its kind' using
      errcode = 'PT400',
      detail = format('source_id %L, kind null', left(publish_retry.source_id, 60)),
      hint = 'Pass the kind as well.';
  end if;
  update publish.deferred d
     set due_at = clock_timestamp()
   where d.reason = 'failed' and d.kind = coalesce(publish_retry.kind, d.kind)
     and d.source_id = coalesce(publish_retry.source_id, d.source_id);
  get diagnostics v_due = row_count;
  if v_due = 0 and publish_retry.source_id is not null then
    raise exception 'this key is not quarantined' using
      errcode = 'PT404',
      detail = format('kind %L, source_id %L', publish_retry.kind,
                      left(publish_retry.source_id, 60)),
      hint = 'See publish_quarantine() for what is.';
  end if;
  return v_due;
end
$$;
comment on function public.publish_retry(text, text) is
  'Makes quarantined keys due for the next drain: one key, those of a kind, or all. Returns how '
  'many. '
  'Errors: PT404 kind not defined, or the key is not quarantined; PT400 a key without its kind.';
revoke all on function public.publish_retry(text, text) from public;
grant execute on function public.publish_retry(text, text) to publish_worker, publish_admin;
