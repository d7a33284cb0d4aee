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
  v_kind publish.kind := publish.check_kind(publish_enqueue.kind);
  v_valid boolean;
  v_headers jsonb := publish_enqueue.headers;
  v_seq bigint;
begin
  if current_setting('publish.headers', true) <> ''
     and coalesce(jsonb_typeof(v_headers), 'object') = 'object' then
    v_headers := coalesce(publish.current_headers() || coalesce(v_headers, '{}'), v_headers);
  end if;
  if coalesce(octet_length(publish_enqueue.source_id), 0) not between 1 and 2000 then
    raise exception 'source_id must be 1 to 2000 bytes' using
      errcode = 'PT400',
      detail = format('kind %L, source_id of %s bytes', publish_enqueue.kind,
                      coalesce(octet_length(publish_enqueue.source_id)::text, 'null')),
      hint = 'Pass the text of the row''s key.';
  end if;
  if publish_enqueue.deleted is null then
    raise exception 'deleted must be true or false' using
      errcode = 'PT400',
      detail = format('kind %L, source_id %L, deleted null', publish_enqueue.kind,
                      left(publish_enqueue.source_id, 60)),
      hint = 'Leave it out, or pass true for a tombstone.';
  end if;
  if v_kind.view is not null
     and (publish_enqueue.payload is not null or publish_enqueue.deleted) then
    raise exception 'a projected kind takes no payload' using
      errcode = 'PT400',
      detail = format('kind %L is projected from %s', publish_enqueue.kind, v_kind.view),
      hint = 'Pass kind and source_id only: the view says what is published.';
  end if;
  if v_kind.view is null and (publish_enqueue.payload is null) <> publish_enqueue.deleted then
    raise exception 'a payload kind takes a payload, or deleted, and not both' using
      errcode = 'PT400',
      detail = format('kind %L, source_id %L, payload %s, deleted %s', publish_enqueue.kind,
                      left(publish_enqueue.source_id, 60),
                      case when publish_enqueue.payload is null then 'null' else 'given' end,
                      publish_enqueue.deleted),
      hint = 'Pass payload => …, or deleted => true.';
  end if;
  if publish_enqueue.available_at = 'infinity' then
    raise exception 'available_at must be a time that comes' using
      errcode = 'PT400',
      detail = format('kind %L, available_at infinity', publish_enqueue.kind),
      hint = 'Pass a finite time, or leave it out.';
  end if;
  if v_kind.validator is not null and publish_enqueue.payload is not null then
    execute format('select %s($1)', v_kind.validator) into v_valid using publish_enqueue.payload;
    if not coalesce(v_valid, true) then
      raise exception 'the validator refused the payload' using
        errcode = 'PT422',
        detail = format('kind %L, source_id %L, validator %s', publish_enqueue.kind,
                        left(publish_enqueue.source_id, 60), v_kind.validator),
        hint = 'Correct the payload.';
    end if;
  end if;

  if publish_enqueue.available_at > clock_timestamp() then
    insert into publish.delayed as d (available_at, kind, source_id, payload, deleted, headers)
    values (publish_enqueue.available_at, publish_enqueue.kind, publish_enqueue.source_id,
            publish_enqueue.payload, publish_enqueue.deleted, v_headers)
    returning d.seq into v_seq;
  else
    insert into publish.outbox as o (kind, source_id, payload, deleted, headers)
    values (publish_enqueue.kind, publish_enqueue.source_id,
            publish_enqueue.payload, publish_enqueue.deleted, v_headers)
    returning o.seq into v_seq;
  end if;
  return v_seq;
end
$$;
comment on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz) is
  'Marks a key dirty in the caller''s transaction and returns its seq. Projected kinds take kind '
  'and source_id; payload kinds a payload, or deleted => true. headers travel with it, over those '
  'of the setting publish.headers. available_at delays it until then. '
  'Errors: PT404 kind not defined, PT400 bad argument, PT422 refused by the validator.';
revoke all on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)
  from public;
grant execute on function public.publish_enqueue(text, text, jsonb, boolean, jsonb, timestamptz)
  to publish_writer, publish_admin;

-- A business write never fails because publishing is misconfigured: a trigger that cannot know the
-- key warns and lets the row pass; an undefined kind ends in the quarantine, not here. Only the key
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
    insert into publish.rescan (kind, reason)
    values (tg_argv[0], format('TRUNCATE of %s', tg_relid::regclass));
    return null;
  end if;
  if tg_nargs < 2 or tg_level <> 'ROW' or octet_length(tg_argv[0]) not between 1 and 200 then
    raise warning 'trigger % on % enqueues nothing', tg_name, tg_relid::regclass using
      hint = 'Attach it FOR EACH ROW with publish_enqueue(''kind'', ''key column'', …).';
    return null;
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
  insert into publish.outbox (kind, source_id, headers)
  select tg_argv[0], k.source_id, v_headers
    from unnest(case when v_old = v_new then array[v_new]
                     else array[v_old, v_new] end) as k (source_id)
   where octet_length(k.source_id) between 1 and 2000;
  return coalesce(new, old);
end
$$;
comment on function public.publish_enqueue() is
  'Row trigger to attach by hand: AFTER INSERT OR UPDATE OR DELETE … FOR EACH ROW EXECUTE FUNCTION '
  'publish_enqueue(''kind'', ''key column'', …). Marks the old and the new key dirty. As an AFTER '
  'TRUNCATE … FOR EACH STATEMENT trigger it has the drain walk the whole kind.';
revoke all on function public.publish_enqueue() from public;
grant execute on function public.publish_enqueue() to publish_writer, publish_admin;
