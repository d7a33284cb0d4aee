create or replace function publish.shown(change publish.published, kinds text[]) returns jsonb
language sql
stable
as $$
  select jsonb_build_object(
           'rev', (shown.change).rev, 'kind', (shown.change).kind, 'pub_id', (shown.change).pub_id,
           'schema_version', (shown.change).schema_version, 'deleted', (shown.change).deleted,
           'payload', (shown.change).payload, 'headers', (shown.change).headers,
           'created_at', (shown.change).created_at, 'updated_at', (shown.change).updated_at)
         || case when (shown.change).kind = any (shown.kinds)
                 then jsonb_build_object('key', (shown.change).source_id) else '{}' end
$$;
comment on function publish.shown(publish.published, text[]) is
  'A row of the feed as readers see it, with its source key if its kind is one of kinds.';
revoke all on function publish.shown(publish.published, text[]) from public;
