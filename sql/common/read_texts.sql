-- The gate. Users' SQL (a view, a lookup, a validator, a cast to a key's type, also where planning
-- would run it) runs as publish_projector, which owns nothing that matters, in a subtransaction
-- that is read-only before it begins and is rolled back after its rows were collected: it can write
-- nothing, and settings, LISTEN and the like are undone. The obvious way, `set local role`, can be
-- undone by that SQL itself; a function of the owner's that only reads can be made to write by
-- anyone who may replace a function that the view calls.
create or replace function publish.read_texts(
  query text,
  ids text[] default null,
  most int default null
) returns setof text
language plpgsql
stable
rows 500
as $$
declare
  v_read boolean := false;
begin
  perform set_config('transaction_read_only', 'on', true);
  return query
    select t.text
      from publish_gate.texts(query => read_texts.query, ids => read_texts.ids,
                              most => read_texts.most) as t (text);
  v_read := true;
  raise sqlstate 'PTGAT';
exception when query_canceled or assert_failure or others then
  perform publish.drop_prepared();
  if not v_read then -- users' SQL raised it
    raise;
  end if;
end
$$;
comment on function publish.read_texts(text, text[], int) is
  'The rows of a query of one text column over users'' SQL, run behind the gate, $1 = ids and $2 = '
  'most, in the snapshot of the caller''s query. Errors: those of the query, as they are; 55P03 '
  'when a table is being replaced; 42501 when row security would hide rows.';
revoke all on function publish.read_texts(text, text[], int) from public;
