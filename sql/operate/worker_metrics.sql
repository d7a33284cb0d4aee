create or replace function publish.worker_metrics() returns setof publish.metric
language sql
stable
as $$
  select row('pgpublish_workers', 'gauge', jsonb_build_object('kind', k.kind), count(w.kind),
             'Workers that were heard of within 45 s.')::publish.metric
    from unnest('{drain,deliver,jobs}'::text[]) as k (kind)
    left join publish.worker w on w.kind = k.kind and w.is_alive
   group by k.kind
$$;
comment on function publish.worker_metrics() is 'How many workers there are.';
revoke all on function publish.worker_metrics() from public;
