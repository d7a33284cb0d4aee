-- Everything in it is qualified, holds on to tables and columns through the key function, and so
-- goes on after they are renamed. Where one is dropped, the function capture_<id>_guard goes with
-- it, and with that the triggers: a write never meets a body that cannot run.
create or replace function publish.capture_body(capture publish.capture) returns text
language sql
stable
as $$
  with part as (
    select format('publish.capture_%s_key', capture_body.capture.capture_id) as key_of,
           format('publish.capture_%s_watched', capture_body.capture.capture_id) as watched,
           case when capture_body.capture.lookup is null then 'null'
                else capture_body.capture.capture_id::text end as via
  ),
  source as (
    select p.*, s.op, case
      when capture_body.capture.by_row then (
        select string_agg(format('select k.key from %s(%s) as k (key)', p.key_of, side.name),
                          ' union ')
          from unnest(s.sides) as side (name))
      when s.op = 'UPDATE' and capture_body.capture.columns is not null then format(
        'select c.key from (select k.key, %2$s(r.*) as watched, 1 as sign'
        ' from new_rows r cross join lateral %1$s(r.*) as k (key)'
        ' union all select k.key, %2$s(r.*), -1'
        ' from old_rows r cross join lateral %1$s(r.*) as k (key)) c'
        ' group by c.key, c.watched having sum(c.sign) <> 0', p.key_of, p.watched)
      else (
        select string_agg(
                 format('select k.key from %s_rows r cross join lateral %s(r.*) as k (key)',
                        side.name, p.key_of), ' union all ')
          from unnest(s.sides) as side (name))
      end as rows
      from part p
     cross join (values ('INSERT', array['new']), ('DELETE', array['old']),
                        ('UPDATE', array['old', 'new'])) as s (op, sides)
  ),
  branch as (
    select s.op, case
      when capture_body.capture.by_row then format($code$
    v_keys := array(select k.key from (%1$s) k where octet_length(k.key) between 1 and 2000);
    insert into publish.outbox (kind, source_id, more, via, headers)
    select %2$L, v_keys[1], nullif(v_keys[2:], '{}'), %3$s, v_headers
     where cardinality(v_keys) > 0;$code$,
        s.rows, capture_body.capture.kind, s.via)
      else format($code$
    v_keys := array(
      select k.key from (%1$s) k
       where octet_length(k.key) between 1 and 2000 limit 3);
    if cardinality(v_keys) > 2 or v_keys[1] <> v_keys[2] then
      insert into publish.outbox (kind, source_id, more, via, headers)
      select %2$L, g.keys[1], nullif(g.keys[2:], '{}'), %3$s, v_headers
        from (select array_agg(d.key) as keys
                from (select k.key, (row_number() over () - 1) / 32 as part
                        from (select distinct k.key from (%1$s) k
                               where octet_length(k.key) between 1 and 2000) k) d
               group by d.part) g;
    elsif v_keys[1] is not null then
      insert into publish.outbox (kind, source_id, via, headers)
      values (%2$L, v_keys[1], %3$s, v_headers);
    end if;$code$,
        s.rows, capture_body.capture.kind, s.via)
      end as code
      from source s
  )
  select format($code$
declare
  v_keys text[];
  v_headers jsonb;
begin
  if tg_op = 'TRUNCATE' then
    insert into publish.rescan (kind, reason)
    values (%1$L, format('TRUNCATE of %%s', tg_relid::regclass));
    return null;
  end if;
  if current_setting('publish.headers', true) <> '' then
    v_headers := publish.current_headers();
  end if;
  if tg_op = 'INSERT' then%2$s
  elsif tg_op = 'DELETE' then%3$s
  else%4$s
  end if;
  return null;%5$s
end
$code$,
    capture_body.capture.kind,
    (select b.code from branch b where b.op = 'INSERT'),
    (select b.code from branch b where b.op = 'DELETE'),
    (select b.code from branch b where b.op = 'UPDATE'),
    case when not capture_body.capture.plain then format($code$
exception
  when operator_intervention or transaction_rollback or insufficient_resources
       or lock_not_available then
    raise;
  when others then
    raise warning 'the key of a captured row failed, and the drain will walk the whole kind' using
      detail = format('kind %%L, table %%s: %%s', %1$L, tg_relid::regclass, sqlerrm),
      hint = 'Capture the table with a key that holds for every row.';
    insert into publish.rescan (kind, reason)
    values (%1$L, format('the key of %%s failed: %%s', tg_relid::regclass, sqlerrm));
    return null;$code$, capture_body.capture.kind) else '' end)
$$;
comment on function publish.capture_body(publish.capture) is
  'The body of a capture''s trigger function: it appends keys to the outbox, and asks for a walk '
  'over the kind after TRUNCATE or where the key cannot be computed.';
revoke all on function publish.capture_body(publish.capture) from public;
