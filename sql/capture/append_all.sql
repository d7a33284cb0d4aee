create or replace function publish.append_all(capture publish.capture, op text) returns text
language sql
immutable
as $$
  select format($code$
      insert into publish.outbox (kind, source_ids, lookup_id, headers)
      select %1$L, n.keys, %2$s, (select publish.headers())
        from (select pg_catalog.array_agg(k.key) as keys
                from (select k.key, (pg_catalog.row_number() over () operator(pg_catalog.-) 1)
                                    operator(pg_catalog./) 32 as part
                        from (select distinct k.key collate pg_catalog."C" from (%3$s
                             ) k
                               where k.key is not null) k) k
               group by k.part) n;$code$,
    append_all.capture.kind, coalesce(publish.lookup_id_of(append_all.capture)::text, 'null'),
    publish.capture_keys(capture => append_all.capture, op => append_all.op))
$$;
comment on function publish.append_all(publish.capture, text) is
  'Statement with which the trigger function of a capture with a plain key appends all keys of its '
  'statement, each once, 32 in a row. op: UPDATE or another.';
revoke all on function publish.append_all(publish.capture, text) from public;
