-- Planned under the settings of its caller. Up to the rev to which both tables were read: a change
-- that gives a key another scope is a row in each.
create or replace function publish.firehose(since bigint, batch int)
returns table (change publish.published, rev bigint, is_departed boolean, cut bigint)
language sql
stable
rows 500
as $$
  with shown as materialized (
    select p
      from publish.published p
     where p.rev > firehose.since
     order by p.rev
     limit firehose.batch
  ),
  departed as materialized (
    select d
      from publish.departed d
     where d.rev > firehose.since
     order by d.rev
     limit firehose.batch
  ),
  cut as (
    select least((select case when count(*) = firehose.batch then max((s.p).rev) end from shown s),
                 (select case when count(*) = firehose.batch then max((d.d).rev) end
                    from departed d)) as rev
  )
  select u.change, (u.change).rev, u.is_departed, c.rev
    from (select s.p as change, false as is_departed from shown s
          union all
          select publish.tombstone(d.d), true from departed d) u
   cross join cut c
   where (u.change).rev <= c.rev or c.rev is null
   order by (u.change).rev, u.is_departed desc
$$;
comment on function publish.firehose(bigint, int) is
  'All rows of the feed after since, and the tombstones of scopes that keys left, in rev order; '
  'at most batch of each. cut: the rev at which they end though there may be more; null: they end '
  'at the head.';
revoke all on function publish.firehose(bigint, int) from public;
