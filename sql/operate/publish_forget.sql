-- A row that a drain has locked is waited for: then it has gone through, or failed again.
create or replace function public.publish_forget(kind text, source_id text default null)
returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_forgotten int;
begin
  perform publish.check_kind(publish_forget.kind);
  delete from publish.deferred d
   where d.reason = 'failed' and d.kind = publish_forget.kind
     and d.source_id = coalesce(publish_forget.source_id, d.source_id);
  get diagnostics v_forgotten = row_count;
  if v_forgotten = 0 and publish_forget.source_id is not null then
    raise exception 'this key is not quarantined' using
      errcode = 'PT404',
      detail = format('kind %L, source_id %L', publish_forget.kind,
                      left(publish_forget.source_id, 60)),
      hint = 'See publish_quarantine() for what is.';
  end if;
  return v_forgotten;
end
$$;
comment on function public.publish_forget(text, text) is
  'Ends the retries of quarantined keys, one or all of a kind, and returns how many. For what can '
  'never be published, such as the key ''abc'' of a kind whose keys are numbers; what the feed has '
  'of the key stays, and the next mark of it is tried again. '
  'Errors: PT404 kind not defined, or the key is not quarantined.';
revoke all on function public.publish_forget(text, text) from public;
grant execute on function public.publish_forget(text, text) to publish_admin;
