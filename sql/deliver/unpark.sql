create or replace function publish.unpark(batch publish.batch, failures publish.failure[])
returns void
language plpgsql
as $$
begin
  delete from publish.parked k
   where k.ctid = any (array(
     select d.ctid
       from (
         select h.pub_id from unnest((unpark.batch).parked_ids) as h (pub_id)
         except
         select f.pub_id from unnest(unpark.failures) as f
       ) h
      cross join lateral (
        select d.ctid
          from publish.parked d
         where d.subscription_id = (unpark.batch).subscription_id
           and d.pub_id >= h.pub_id and d.pub_id <= h.pub_id
         order by d.pub_id
         limit 1
      ) d));
end
$$;
comment on function publish.unpark(publish.batch, publish.failure[]) is
  'Forgets what was parked and is delivered now.';
revoke all on function publish.unpark(publish.batch, publish.failure[]) from public;
