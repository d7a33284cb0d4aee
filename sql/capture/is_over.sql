-- A mark takes 8 bytes or more: while the outbox is too small for the limit, nothing is sampled.
-- What was found counts for 100 ms of the transaction, so that a bulk write pays for it rarely.
create or replace function publish.is_over(kind publish.kind) returns boolean
language plpgsql
as $$
declare
  v_limit bigint := ((is_over.kind).settings ->> 'depth_limit')::bigint;
  v_name text := format('publish.over_%s', (is_over.kind).kind_no);
  v_now float8 := extract(epoch from clock_timestamp());
  v_known text[] := string_to_array(nullif(current_setting(v_name, true), ''), ' ');
  v_is_over boolean := false;
begin
  if v_limit is null then
    return false;
  end if;
  if v_known is not null and v_known[2]::float8 > v_now then
    return v_known[1]::boolean;
  end if;
  if (pg_relation_size('publish.outbox_0') + pg_relation_size('publish.outbox_1')
      + pg_relation_size('publish.outbox_2')) / 8 > v_limit then
    v_is_over := coalesce((select sum(s.marks) >= v_limit
                             from publish.sample_outbox(16) s
                            where publish.present_name(s.kind, clock_timestamp())
                                  = (is_over.kind).kind), false);
  end if;
  perform set_config(v_name, format('%s %s', v_is_over, v_now + 0.1), true);
  return v_is_over;
end
$$;
comment on function publish.is_over(publish.kind) is
  'Whether about as many marks of the kind wait as its setting depth_limit allows.';
revoke all on function publish.is_over(publish.kind) from public;
