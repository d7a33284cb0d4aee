-- Kinds are compared with what is granted before they are looked up: a reader does not learn which
-- others there are. Planned under the settings of its callers.
create or replace function publish.narrow(reading publish.reading, kinds text[])
returns publish.reading
language plpgsql
stable
as $$
declare
  v_reading publish.reading := narrow.reading;
  v_kind text;
begin
  if narrow.kinds is not null then
    select k.kind into v_kind
      from unnest(narrow.kinds) as k (kind)
     where k.kind <> all (v_reading.kinds) or k.kind is null and v_reading.kinds is not null
     limit 1;
    if found then
      raise exception 'this kind is not granted to this reader' using
        errcode = 'PT403',
        detail = format('kind %L', v_kind),
        hint = 'Name kinds that are granted, or none for all of them.';
    end if;
    perform publish.check_kind(k.kind) from unnest(narrow.kinds) as k (kind);
    v_reading.kinds := narrow.kinds;
  end if;
  if v_reading.scope is not null then
    select array_agg(k.kind), coalesce(array_agg(k.kind) filter (where k.scope is not null), '{}')
      into v_reading.kinds, v_reading.scoped
      from publish.kind k
     where k.kind = any (v_reading.kinds) or v_reading.kinds is null;
    v_reading.kinds := coalesce(v_reading.kinds, '{}');
  end if;
  return v_reading;
end
$$;
comment on function publish.narrow(publish.reading, text[]) is
  'The reading of these kinds only; null for all that are granted. Errors: PT403 a kind that is '
  'not granted, PT404 one that is not defined.';
revoke all on function publish.narrow(publish.reading, text[]) from public;
