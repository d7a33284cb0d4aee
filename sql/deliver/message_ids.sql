-- What is sent again after a reset has another id: a consumer or a broker that drops what it has
-- had before must not drop the state to go back to.
create or replace function publish.message_ids(
  subscription publish.subscription,
  out first_revs bigint[],
  out beginnings text[]
)
language sql
stable
as $$
  select array_agg(e.first_rev order by e.epoch_no),
         array_agg(e.epoch || '/'
                   || case when e.at < (message_ids.subscription).reset_at
                           then (message_ids.subscription).life || '/' else '' end
                   order by e.epoch_no)
    from publish.epoch e
$$;
comment on function publish.message_ids(publish.subscription) is
  'How a message''s id begins, before its rev: the epoch in which the change was published, and '
  'the subscription''s life if that began later by a resync. One entry an epoch, oldest first: '
  'that of a rev is at width_bucket(rev - 1, first_revs).';
revoke all on function publish.message_ids(publish.subscription) from public;
