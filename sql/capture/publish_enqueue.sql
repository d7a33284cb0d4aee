-- Two forms in one file, the project's only overload: the call and the trigger.
-- Both append to the outbox in the caller's transaction and take no other lock.
create or replace function public.publish_enqueue(
  kind text,
  source_id text,
  payload jsonb default null,
  deleted boolean default false,
  headers jsonb default null,
  available_at timestamptz default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind publish.kind := publish.check_kind(publish_enqueue.kind, or_former => true);
  v_headers jsonb := publish_enqueue.headers;
  v_no bigint;
begin
  perform publish.check_mark(kind => v_kind, source_id => publish_enqueue.source_id,
                             payload => publish_enqueue.payload,
                             deleted => publish_enqueue.deleted);
  if publish_enqueue.available_at = 'infinity' then
    raise exception 'available_at must be a time that comes' using
      errcode = 'PT400',
      detail = format('kind %L, available_at infinity', publish_enqueue.kind),
      hint = 'Pass a finite time, or leave it out.';
  end if;
  if not publish.are_headers(v_headers) then
    raise exception 'headers are a JSON object of at most 16 kB and 16 levels' using
      errcode = 'PT400',
      detail = format('kind %L, %s bytes', publish_enqueue.kind, pg_column_size(v_headers)),
      hint = 'Pass few: they travel with every delivery.';
  end if;
  if v_kind.settings ? 'depth_limit' then
    perform publish.check_room(v_kind);
  end if;
  perform publish.check_payload(kind => v_kind, source_id => publish_enqueue.source_id,
                                payload => publish_enqueue.payload);
  if current_setting('publish.headers', true) <> ''
     and coalesce(jsonb_typeof(v_headers), 'object') = 'object' then
    v_headers := coalesce(publish.current_headers() || coalesce(v_headers, '{}'), v_headers);
  end if;

  if publish_enqueue.available_at > clock_timestamp() then
    insert into publish.deferred
      (due_at, reason, kind, source_id, payload_no, payload, deleted, headers)
    values (publish_enqueue.available_at, 'scheduled', v_kind.kind, publish_enqueue.source_id,
            case when v_kind.view is null then publish.next_payload_no() end,
            publish_enqueue.payload, publish_enqueue.deleted, v_headers);
  else
    insert into publish.outbox as o (kind, source_ids, payload_no, payload, deleted, headers)
    values (v_kind.kind, array[publish_enqueue.source_id],
            case when v_kind.view is null then publish.next_payload_no() end,
            publish_enqueue.payload, publish_enqueue.deleted, v_headers)
    returning coalesce(o.payload_no, o.seq) into v_no;
  end if;
  return v_no;
end
$$;
comment on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz) is
  'Marks a key in the caller''s transaction. Projected kinds take kind and source_id; payload '
  'kinds a payload, or deleted => true: of two payloads of a key the later one is published. '
  'Returns a number that rises with each call for the key; null where available_at, the time '
  'before which it is not published, is still to come: it counts as enqueued then. headers travel '
  'with it, over those of the setting publish.headers. A payload kind takes its number from a '
  'sequence, so lastval() of the session is that number then; currval() of a sequence of yours is '
  'not touched. Errors: PT404 kind not defined, PT400 bad argument, PT422 the payload is too '
  'large, nested too deep, or refused by the validator; PT429 the kind is over its setting '
  'depth_limit.';
revoke all on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)
  from public;
grant execute on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)
  to publish_writer, publish_admin;

-- A business write never fails because publishing is misconfigured: a trigger that cannot know the
-- key warns and lets the row pass; an undefined kind fails in the drain, not here. Only the key
-- columns are read, by their types' output functions: no wide column is fetched for it, and no cast
-- of a user's runs with the definer's rights. Settings that change a key's text are the drain's.
create or replace function public.publish_enqueue() returns trigger
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
  v_parts text;
  v_old text;
  v_new text;
  v_headers jsonb;
begin
  if tg_op = 'TRUNCATE' and tg_nargs > 0 then
    perform publish.mark_all(kind => tg_argv[0], source => tg_relid, problem => null);
    return null;
  end if;
  if tg_nargs < 2 or tg_level <> 'ROW' or octet_length(tg_argv[0]) not between 1 and 200 then
    raise warning 'trigger % on % enqueues nothing', tg_name, tg_relid::regclass using
      hint = 'Attach it FOR EACH ROW with publish_enqueue(''kind'', ''key column'', …).';
    return null;
  end if;
  if exists (select from publish.kind k
              where k.settings ? 'depth_limit' and tg_argv[0] = any (k.former || k.kind))
     and publish.drops_marks(tg_argv[0]) then
    return coalesce(new, old);
  end if;
  v_parts := (
    select format('select publish.row_key(array[%s])',
                  string_agg(format('case when ($1).%1$I is not null'
                                    ' then format(''%%s'', ($1).%1$I) end', c.name),
                             ', ' order by c.n))
      from unnest(tg_argv[1:]) with ordinality as c (name, n));
  begin
    if tg_op <> 'INSERT' then
      execute v_parts into v_old using old;
    end if;
    if tg_op <> 'DELETE' then
      execute v_parts into v_new using new;
    end if;
  exception
    when syntax_error_or_access_rule_violation or data_exception or program_limit_exceeded then
      null; -- warned of below
  end;
  if coalesce(octet_length(v_old), 1) > 2000 or coalesce(octet_length(v_new), 1) > 2000
     or coalesce(v_old, v_new, '') = '' then
    raise warning 'trigger % on % cannot publish this row''s key', tg_name, tg_relid::regclass using
      detail = format('Key columns %s; key %L.', tg_argv[1:], left(coalesce(v_new, v_old), 60)),
      hint = 'Name columns of this table whose text is 1 to 2000 bytes.';
  end if;
  if current_setting('publish.headers', true) <> '' then
    v_headers := publish.current_headers();
  end if;
  insert into publish.outbox (kind, source_ids, headers)
  select tg_argv[0], k.source_ids, v_headers
    from (select array_agg(k.source_id) as source_ids
            from unnest(case when v_old = v_new then array[v_new]
                             else array[v_old, v_new] end) as k (source_id)
           where octet_length(k.source_id) between 1 and 2000) k
   where k.source_ids is not null;
  return coalesce(new, old);
end
$$;
comment on function public.publish_enqueue() is
  'Row trigger to attach by hand: AFTER INSERT OR UPDATE OR DELETE … FOR EACH ROW EXECUTE FUNCTION '
  'publish_enqueue(''kind'', ''key column'', …). Marks the old and the new key. As an AFTER '
  'TRUNCATE … FOR EACH STATEMENT trigger it has the drain walk the whole kind.';
revoke all on function public.publish_enqueue() from public;
grant execute on function public.publish_enqueue() to publish_writer, publish_admin;
