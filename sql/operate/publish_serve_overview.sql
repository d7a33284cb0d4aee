-- Jobs are cut down to what is shown: their data may be large, or nobody else's to know.
create or replace function public.publish_serve_overview(
  role name,
  scope text default null,
  operations boolean default true
) returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_reading publish.reading := publish.narrow(
    publish.reading_for(publish_serve_overview.role, publish_serve_overview.scope), null);
  v_found jsonb := publish.overview_now();
  v_head bigint := coalesce((v_found -> 'feed' ->> 'head')::bigint, 0);
  v_since bigint := greatest(v_head - 200, publish.reading_floor(v_reading), 0);
begin
  v_found := v_found || jsonb_build_object(
    'recent', publish.format_cursor(epoch => (v_found -> 'epoch' ->> 'epoch')::uuid,
                                    base => v_since, since => v_since,
                                    rights => v_reading.rights));
  if publish_serve_overview.operations
     and publish.serves_operations(publish_serve_overview.role, publish_serve_overview.scope) then
    return v_found || jsonb_build_object(
      'operations', true,
      'may', publish.serve_actions(publish_serve_overview.role, publish_serve_overview.scope),
      'running', publish.serve_jobs(publish_serve_overview.role, 'running'),
      'stopped', publish.serve_jobs(publish_serve_overview.role, 'ignored')
                 || publish.serve_jobs(publish_serve_overview.role, 'failed'));
  end if;
  return jsonb_build_object(
    'operations', false, 'may', '{}'::text[], 'at', v_found -> 'at', 'recent', v_found -> 'recent',
    'is_standby', v_found -> 'is_standby',
    'feed', jsonb_build_object('head', v_head,
                               'last_drain_at', v_found -> 'feed' -> 'last_drain_at'),
    'latency', (
      select coalesce(jsonb_agg(l.step order by l.n), '[]')
        from jsonb_array_elements(v_found -> 'latency') with ordinality as l (step, n)
       where l.step ->> 'step' = 'published'),
    'kinds', (
      select coalesce(jsonb_agg(jsonb_build_object('kind', k.state -> 'kind',
                                                   'oldest_s', k.state -> 'oldest_s')
                                order by k.n), '[]')
        from jsonb_array_elements(v_found -> 'kinds') with ordinality as k (state, n)
       where k.state ->> 'kind' = any (v_reading.kinds) or v_reading.kinds is null));
end
$$;
comment on function public.publish_serve_overview(name, text, boolean) is
  'What the page of pgpublish serve shows to a reader. Who may see operations and asks for them: '
  'publish.overview() without its history, running and stopped jobs if its role may call '
  'publish_jobs, and may, what it may do. Others: head, rate, latency, and the kinds that they '
  'read. recent: a cursor of some changes ago. Errors: PT403 nothing is granted to the role.';
revoke all on function public.publish_serve_overview(name, text, boolean) from public;
grant execute on function public.publish_serve_overview(name, text, boolean)
  to publish_server, publish_admin;
