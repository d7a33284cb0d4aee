-- Called with the search_path of who writes.
create or replace function publish.append_few(kind text, keys text[], lookup_id int) returns void
language plpgsql
as $$
begin
  insert into publish.outbox (kind, source_ids, lookup_id, headers)
  select append_few.kind, n.keys, append_few.lookup_id, publish.headers()
    from (select array(select distinct k.key
                         from pg_catalog.unnest(append_few.keys) as k (key)
                        where k.key is not null) as keys
          offset 0) n
   where n.keys operator(pg_catalog.<>) '{}';
end
$$;
comment on function publish.append_few(text, text[], int) is
  'Appends a few keys, of which some may be null, to the outbox: each once, in one row.';
revoke all on function publish.append_few(text, text[], int) from public;
