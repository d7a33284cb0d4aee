create or replace function publish.read_failures(failed jsonb) returns publish.failure[]
language plpgsql
stable
as $$
begin
  if jsonb_typeof(read_failures.failed) <> 'array' or exists (
    select
      from jsonb_array_elements(read_failures.failed) as f (item)
     where jsonb_typeof(f.item) <> 'object'
        or coalesce(f.item ->> 'pub_id', '') !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        or coalesce(f.item ->> 'rev', '') !~ '^[0-9]{1,18}$'
        or jsonb_typeof(f.item -> 'class') is distinct from 'string'
        or coalesce(jsonb_typeof(f.item -> 'retry_after'), 'null') not in ('number', 'null')
  ) then
    raise exception 'failed must say of each change what failed' using
      errcode = 'PT400',
      detail = left(read_failures.failed::text, 300),
      hint = 'Pass [{"pub_id": …, "rev": …, "class": …, "message": …, "retry_after": seconds}] '
             'with a class of publish.failure_class.';
  end if;
  return array(
    select (f.pub_id, f.rev,
            case when c.class is null then 'unknown'
                 when c.class = 'endpoint' and f.retry_after is not null then 'busy'
                 else c.class end,
            left(coalesce(f.message, ''), 1000), least(greatest(f.retry_after, 0), 86400)
           )::publish.failure
      from (
        select distinct on (f.pub_id) f.*
          from jsonb_to_recordset(read_failures.failed)
                 as f (pub_id uuid, rev bigint, class text, message text,
                        retry_after numeric)
         order by f.pub_id, f.rev desc
      ) f
      left join publish.failure_class c on c.class = f.class and not c.is_internal);
end
$$;
comment on function publish.read_failures(jsonb) is
  'What publish_settle is told, each key once. A class that is not known is unknown; an endpoint '
  'that says when to come again is busy. Errors: PT400 it is no list of failures.';
revoke all on function publish.read_failures(jsonb) from public;
