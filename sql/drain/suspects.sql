-- While it is not known which marks of a kind stopped a drain, new ones might stop the next, and
-- with it all other kinds: from cron, in which a second passes between two calls, for ever. They
-- are put aside unseen and tried by themselves, a whole batch at a time. As soon as the marks that
-- stopped drains are known to an eighth of an eighth of a batch, new ones go the usual way.
create or replace function publish.suspects(batch publish.drain_batch) returns text[]
language plpgsql
stable
as $$
begin
  if (suspects.batch).phase = 1 or not (suspects.batch).has_failed then
    return '{}'::text[];
  end if;
  return array(
    select k.kind
      from (select distinct m.kind collate "C" as kind from unnest((suspects.batch).marks) m) k
     where exists (select from publish.deferred d
                    where d.kind = k.kind and d.sqlstate = '57014'
                      and d.attempts between 1 and 2));
end
$$;
comment on function publish.suspects(publish.drain_batch) is
  'The kinds in this batch of which marks that stopped a drain are put aside and were tried at '
  'most twice. None, if the batch tries just these.';
revoke all on function publish.suspects(publish.drain_batch) from public;
