-- One page is one transaction's work: nothing is remembered between calls but "next".
create or replace function public.publish_backfill(
  kind text,
  after text default null,
  batch int default 1000,
  out next text,
  out marked int
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
as $$
declare
  v_key record;
  v_after text[];
  v_bound text;
  v_page text[];
begin
  if coalesce(publish_backfill.batch, 0) < 1 then
    raise exception 'batch must be 1 or more' using
      errcode = 'PT400',
      detail = format('batch %s', coalesce(publish_backfill.batch::text, 'null')),
      hint = 'Pass the number of keys to mark, such as 1000.';
  end if;
  select c.* into v_key from publish.key_columns(publish_backfill.kind) c;
  select string_agg(format('($1)[%s]::%s', t.n, t.type), ', ' order by t.n) into v_bound
    from unnest(v_key.types) with ordinality as t (type, n);
  if publish_backfill.after is not null then
    begin
      v_after := case when cardinality(v_key.refs) = 1 then array[publish_backfill.after]
                      else publish.key_parts(publish_backfill.after, v_key.columns) end;
      execute format('select %s', v_bound) using v_after;
    exception when data_exception or sqlstate 'PT422' then
      raise exception 'after is not a key of this kind' using
        errcode = 'PT400',
        detail = format('kind %L, after %L: %s', publish_backfill.kind,
                        left(publish_backfill.after, 60), sqlerrm),
        hint = 'Pass what the previous page returned as next, or nothing to begin.';
    end;
  end if;
  -- Without keys that have a null part: a page that ended with one could not say where to go on.
  execute format('select array(select %1$s from %2$s v where (%3$s) is not null %4$s'
                 ' order by %3$s limit $2)',
                 v_key.source_id, v_key.view, array_to_string(v_key.refs, ', '),
                 case when v_after is not null
                      then format('and (%s) > (%s)', array_to_string(v_key.refs, ', '), v_bound)
                 end)
     into v_page
    using v_after, publish_backfill.batch;
  insert into publish.outbox (kind, source_id)
  select publish_backfill.kind, p.source_id
    from unnest(v_page) as p (source_id)
   where octet_length(p.source_id) between 1 and 2000;
  get diagnostics publish_backfill.marked = row_count;
  if cardinality(v_page) = publish_backfill.batch then
    publish_backfill.next := v_page[publish_backfill.batch];
  end if;
end
$$;
comment on function public.publish_backfill(text, text, int) is
  'Marks the view''s next batch of keys above "after" dirty, in key order. Returns how many, and '
  'where to go on: pass next as after, until it is null. Errors: PT404 not a projected kind, '
  'PT400 bad batch or after.';
revoke all on function public.publish_backfill(text, text, int) from public;
grant execute on function public.publish_backfill(text, text, int) to publish_admin;
