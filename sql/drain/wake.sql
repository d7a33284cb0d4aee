-- A drain that has not seen the switch may put marks off after this: publish_maintain calls it too.
create or replace function publish.wake() returns void
language plpgsql
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_kinds text[] := array(select k.kind
                            from publish.kind k
                           where k.settings ->> 'publishing' is distinct from 'off');
begin
  update publish.deferred d
     set reason = 'locked', due_at = v_now
   where d.reason = 'off' and d.kind = any (v_kinds);
  update publish.walk w
     set due_at = v_now
   where w.due_at = 'infinity' and w.kind = any (v_kinds);
end
$$;
comment on function publish.wake() is
  'Makes due what was put off for the kinds that are not switched off.';
revoke all on function publish.wake() from public;
