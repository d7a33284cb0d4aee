-- Runs as its caller, who owns the table or has TRIGGER on it. CREATE TRIGGER waits for writers of
-- the table, and later ones wait behind it: five seconds at the most, then nothing was changed.
create or replace function public.publish_capture(
  kind text,
  source regclass,
  key text default null,
  columns text[] default null,
  always boolean default false,
  lookup text default null
) returns void
language plpgsql
set lock_timeout = '5s'
as $$
declare
  v_schema text := (
    select n.nspname
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.oid = publish_capture.source);
  -- Resolved here: where the capture is written, "$user" is publish_owner.
  v_path text := (
    select pg_catalog.string_agg(pg_catalog.quote_ident(s.name), ', ' order by s.n)
      from pg_catalog.unnest(pg_catalog.current_schemas(false)) with ordinality as s (name, n));
  v_capture publish.capture;
  v_capture_id int;
begin
  v_capture.kind := kind;
  v_capture.key := key;
  v_capture.columns := columns;
  v_capture.always := always;
  v_capture.lookup := lookup;
  perform publish.grant_usage(v_schema);
  v_capture_id := publish.write_capture(capture => v_capture, source => source, path => v_path);
  perform publish.grant_lookup(v_capture_id);
  perform publish.attach_capture(v_capture_id);
exception when lock_not_available then
  raise exception 'the table is in use' using
    errcode = 'PT423',
    detail = pg_catalog.format(
      '%s could not be locked within 5 s: a transaction is writing to it.', source),
    hint = 'See pg_blocking_pids() and pg_stat_activity; try again when that transaction ended.';
end
$$;
comment on function public.publish_capture(text, regclass, text, text[], boolean, text) is
  'Has every write to a table mark keys of the kind, in the write''s own transaction. key: '
  'SQL over the table''s row, in the order of the kind''s key; default: the columns that the '
  'view''s key shows. A set of keys is welcome, as in unnest(array[from_id, to_id]). lookup: a '
  'query from $1, an array of keys as "key" gives them (default: the primary key), to keys of '
  'the kind, for a table that many of them read: select icao from airport where country = any '
  '($1). It is asked by the drain, when all that it must see has committed. columns: an update '
  'that changes neither these nor the key marks nothing. always: also mark what logical '
  'replication applies. Capturing a table again replaces its capture for the kind, and has the '
  'drain walk the kind where the old one was broken. Key and lookup run as publish_projector, '
  'read-only; a key that fails never fails the write. '
  'Errors: PT400 bad argument, PT404 kind not defined, PT423 the table is in use.';
revoke all on function public.publish_capture(text, regclass, text, text[], boolean, text)
  from public;
grant execute on function public.publish_capture(text, regclass, text, text[], boolean, text)
  to publish_admin;
