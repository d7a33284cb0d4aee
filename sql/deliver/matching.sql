-- What fails for one payload is asked one by one, so that it fails for that one only.
create or replace function publish.matching(
  subscription publish.subscription,
  payloads text[]
) returns int[]
language plpgsql
as $$
begin
  if matching.payloads is null then
    return null;
  end if;
  return array(
    select t.number::int
      from publish.read_texts(query => publish.filter_sql((matching.subscription).filter),
                              ids => matching.payloads) as t (number));
exception when others then
  if publish.is_transient(sqlstate) then
    raise;
  end if;
  if cardinality(matching.payloads) = 1 then
    perform publish.report_fault((matching.subscription).name,
                                 format('its filter failed for a change: %s', sqlerrm));
    return '{}'::int[];
  end if;
  return array(
    select p.n::int
      from unnest(matching.payloads) with ordinality as p (payload, n)
     where publish.matching(matching.subscription, array[p.payload]) <> '{}');
end
$$;
comment on function publish.matching(publish.subscription, text[]) is
  'Which of these payloads, by number from 1, the subscription''s filter takes. One for which it '
  'fails is not taken, and the subscription''s fault says so.';
revoke all on function publish.matching(publish.subscription, text[]) from public;
