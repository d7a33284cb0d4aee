-- Inlined into its caller: no SET clause. What is sent again after a reset has another id: a
-- consumer or a broker that drops what it has had before must not drop the state to go back to.
create or replace function publish.message_id(
  subscription publish.subscription,
  rev bigint,
  control text
) returns table (id text)
language sql
stable
rows 1
as $$
  select coalesce(message_id.control || '/' || (message_id.subscription).life,
                  concat_ws('/', e.epoch,
                            case when e.at < (message_id.subscription).reset_at
                                 then (message_id.subscription).life end,
                            message_id.rev))
    from (select) one
    left join lateral (
      select e.epoch, e.at
        from publish.epoch e
       where e.first_rev < message_id.rev
       order by e.epoch_no desc
       limit 1
    ) e on true
$$;
comment on function publish.message_id(publish.subscription, bigint, text) is
  'The id of a message: the epoch in which the change was published, its rev, and between them '
  'the subscription''s life if that began later by a resync. Of a control event: its kind, which '
  'is control, and the life.';
revoke all on function publish.message_id(publish.subscription, bigint, text) from public;
