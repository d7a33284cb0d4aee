create or replace function public.publish_walks(kind text default null)
returns table (
  of_kind text, reason text, "position" text, marked bigint, estimate bigint,
  requested_at timestamptz, began_at timestamptz, ended_at timestamptz, due_at timestamptz,
  attempts int, message text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if publish_walks.kind is not null then
    perform publish.check_kind(publish_walks.kind);
  end if;
  return query
    select w.kind, w.reason, w.position, w.marked, w.estimate, w.requested_at, w.began_at,
           null::timestamptz, case when w.attempts > 0 or w.due_at > now() then w.due_at end,
           w.attempts, w.message
      from publish.walk w
     where w.kind = coalesce(publish_walks.kind, w.kind)
    union all
    select d.kind, d.reason, null, d.marked, d.estimate, d.requested_at, d.began_at, d.ended_at,
           null, 0, null
      from publish.walked d
      join publish.kind k on k.kind = d.kind
     where d.kind = coalesce(publish_walks.kind, d.kind)
     order by 8 desc nulls first, 7 nulls last, 6, 1;
end
$$;
comment on function public.publish_walks(text) is
  'Walks over whole kinds, of one kind or all: first those under way, then those that no drain has '
  'begun, then of each kind the last that ended. position is the last key marked, marked counts '
  'them, estimate is about how many keys the view shows; attempts and message tell of a page that '
  'failed, which is tried again at due_at. Errors: PT404 kind not defined.';
revoke all on function public.publish_walks(text) from public;
grant execute on function public.publish_walks(text) to publish_worker, publish_admin;
