create or replace function publish.walk_reason(capture publish.capture, source regclass)
returns text
language plpgsql
stable
as $$
declare
  v_old publish.capture;
begin
  select c.* into v_old
    from publish.capture c
   where c.capture_id = walk_reason.capture.capture_id;
  if not found then
    return (select format('%s was not captured before', walk_reason.source)
             where exists (select from publish.published p
                            where p.kind = walk_reason.capture.kind));
  end if;
  return case
    when exists (select from publish.audit_captures(v_old.capture_id))
    then format('the capture of %s was broken', walk_reason.source)
    when v_old.lookup is not null
         and (v_old.key, v_old.lookup)
             is distinct from (walk_reason.capture.key, walk_reason.capture.lookup)
    then format('%s is looked up in another way', walk_reason.source)
    when not coalesce(walk_reason.capture.columns <@ v_old.columns, v_old.columns is null)
    then format('%s was captured with fewer columns', walk_reason.source) end;
end
$$;
comment on function publish.walk_reason(publish.capture, regclass) is
  'Why the kind has to be walked when this capture is written, as the one of before may have '
  'missed changes; null: it has not.';
revoke all on function publish.walk_reason(publish.capture, regclass) from public;
