create or replace function public.publish_backlog()
returns table (kind text, depth bigint, depth_warning bigint, depth_limit bigint, state text)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with found as materialized (
    select n.kind, sum(n.marks) as marks
      from (select publish.present_name(s.kind, clock_timestamp()) as kind, s.marks
              from publish.sample_outbox(64) s) n
     group by n.kind
  )
  select k.kind, coalesce(f.marks, 0)::bigint, l.warning, l.most,
         case when f.marks >= l.most then 'limit' when f.marks >= l.warning then 'warning'
              else 'ok' end
    from publish.kind k
   cross join lateral (
     select publish.setting_of('depth_warning', k.kind)::bigint as warning,
            publish.setting_of('depth_limit', k.kind)::bigint as most
   ) l
    left join found f on f.kind = k.kind
   order by k.kind
$$;
comment on function public.publish_backlog() is
  'For each kind about how many marks wait to be drained, from at most 64 pages of the outbox, and '
  'whether that is above its settings depth_warning or depth_limit. Not on a standby.';
revoke all on function public.publish_backlog() from public;
grant execute on function public.publish_backlog() to publish_reader, publish_worker, publish_admin;
