create or replace function publish.history_of(span interval, step interval) returns jsonb
language sql
stable
as $$
  select coalesce(jsonb_agg(to_jsonb(h) order by h.at), '[]')
    from publish.drain_history(history_of.span, history_of.step) h
$$;
comment on function publish.history_of(interval, interval) is 'publish.drain_history as JSON.';
revoke all on function publish.history_of(interval, interval) from public;
