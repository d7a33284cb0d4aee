-- It holds on to tables and columns through publish_gate.capture_<id>_key and _unchanged, so
-- renames are harmless. These are dropped with what they read: a write then asks for a walk instead
-- of failing.
create or replace function publish.capture_body(capture publish.capture) returns text
language sql
stable
as $$
  select case when l.is_limited
              then overlay(b.body placing format($code$
begin
  if tg_op operator(pg_catalog.<>) 'TRUNCATE' and publish.drops_marks(%L) then
    return null;
  end if;
$code$, capture_body.capture.kind) from strpos(b.body, e'\nbegin\n') for 7)
              else b.body end
    from (select case when capture_body.capture.plain then publish.plain_body(capture_body.capture)
                      else publish.gated_body(capture_body.capture) end as body) b
   cross join (select exists (select
                                from publish.kind k
                               where k.kind = capture_body.capture.kind
                                 and k.settings ? 'depth_limit') as is_limited) l
$$;
comment on function publish.capture_body(publish.capture) is
  'The body of a capture''s trigger function: it appends keys to the outbox, and asks for a walk '
  'over the kind after TRUNCATE or where the keys cannot be told. If the kind has a depth_limit, '
  'it looks for room first.';
revoke all on function publish.capture_body(publish.capture) from public;
