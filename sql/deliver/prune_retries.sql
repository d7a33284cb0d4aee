create or replace function publish.prune_retries(state publish.state, ask publish.ask)
returns void
language plpgsql
as $$
begin
  update publish.parked k
     set class = 'pruned', next_attempt_at = null,
         message = 'the change was pruned before it could be sent'
   where k.ctid = any (array(
     select d.ctid
       from publish.next_retries(state => prune_retries.state, now => (prune_retries.ask).now,
                                 size => (prune_retries.ask).size) r
      cross join lateral (
        select d.ctid
          from publish.parked d
         where d.subscription_id = r.subscription_id
           and d.pub_id >= r.pub_id and d.pub_id <= r.pub_id
         order by d.pub_id
         limit 1
      ) d
      where not exists (
        select
          from publish.published p
         where p.pub_id >= r.pub_id and p.pub_id <= r.pub_id
         order by p.pub_id, p.rev desc
         limit 1)));
end
$$;
comment on function publish.prune_retries(publish.state, publish.ask) is
  'Gives up those of the next retries whose change is no longer there.';
revoke all on function publish.prune_retries(publish.state, publish.ask) from public;
