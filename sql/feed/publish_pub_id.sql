-- Only published_key_idx gives this order, however small the table was when this was planned;
-- "where … p.source_id = … order by p.rev desc" may be planned over all rows of the kind.
create or replace function public.publish_pub_id(kind text, source_id text) returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
set jit = off
as $$
declare
  v_reading publish.reading;
begin
  if not pg_has_role(publish.caller(), 'publish_writer', 'usage') then
    v_reading := publish.callers_reading();
  end if;
  v_reading := publish.narrow(v_reading, array[publish_pub_id.kind]);
  return (
    select case when coalesce(cardinality(v_reading.scoped), 0) = 0 or p.scope = v_reading.scope
                then p.pub_id end
      from publish.published p
     where p.kind = publish_pub_id.kind
       and p.source_id >= publish_pub_id.source_id and p.source_id <= publish_pub_id.source_id
     order by p.source_id, p.rev desc
     limit 1
  );
end
$$;
comment on function public.publish_pub_id(text, text) is
  'The public id of a source key, also of a deleted one; null if it was never published, '
  'or is not of the reader''s scope. Errors: PT403 kind not granted, PT404 not defined.';
revoke all on function public.publish_pub_id(text, text) from public;
grant execute on function public.publish_pub_id(text, text)
  to publish_reader, publish_writer, publish_worker, publish_admin;
