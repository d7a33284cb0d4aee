create or replace function publish.step_walk(walk publish.walk, batch int) returns publish.walk
language plpgsql
as $$
declare
  v_position text := coalesce((step_walk.walk).position, 'view:');
  v_size int := least(step_walk.batch, (step_walk.walk).page);
  v_marked bigint := (step_walk.walk).marked;
  v_page record;
begin
  if (step_walk.walk).position is null then
    step_walk.walk.began_at := clock_timestamp();
    step_walk.walk.digest := (
      select publish.view_digest(k.view) from publish.kind k where k.kind = (step_walk.walk).kind);
    step_walk.walk.estimate := publish.estimated_keys((step_walk.walk).kind);
  end if;
  if starts_with(v_position, 'view:') then
    select p.* into v_page
      from publish.mark_view_page(kind => (step_walk.walk).kind, batch => v_size,
                                  after => nullif(substr(v_position, 6), '')) p;
    v_position := coalesce('view:' || v_page.next, 'feed:');
    v_marked := v_marked + v_page.marked;
  end if;
  if starts_with(v_position, 'feed:') then
    select p.* into v_page
      from publish.mark_feed_page(kind => (step_walk.walk).kind, batch => v_size,
                                  after => substr(v_position, 6)) p;
    v_position := 'feed:' || v_page.next;
    v_marked := v_marked + v_page.marked;
  end if;
  step_walk.walk.position := v_position;
  step_walk.walk.marked := v_marked;
  return step_walk.walk;
end
$$;
comment on function publish.step_walk(publish.walk, int) is
  'Marks the next page of a walk: every key of the view, then every live published key that the '
  'view does not show, at most batch of each. Returns the walk as it is after it; position null: '
  'it has ended. Errors: those of the view.';
revoke all on function publish.step_walk(publish.walk, int) from public;
