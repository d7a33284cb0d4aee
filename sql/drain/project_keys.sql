-- The plan settings undo those of the drain: the user's view is planned as anywhere else.
create or replace function publish.project_keys(
  kind text,
  source_ids text[],
  seqs bigint[],
  headers jsonb[]
) returns table (
  source_id text, seq bigint, payload jsonb, deleted boolean, headers_of jsonb, sqlstate_of text,
  message text
)
language plpgsql
set enable_seqscan = on
set enable_bitmapscan = on
set enable_hashjoin = on
set enable_mergejoin = on
stable
rows 500
as $$
begin
  return query execute publish.projection(project_keys.kind)
    using project_keys.source_ids, project_keys.seqs, project_keys.headers,
          (select max(s.seq) from unnest(project_keys.seqs) as s (seq));
end
$$;
comment on function publish.project_keys(text, text[], bigint[], jsonb[]) is
  'What the kind''s view says of these keys: a row each, deleted where it shows none. Keys are '
  'spelled as the view spells them. Any error of the view is raised.';
revoke all on function publish.project_keys(text, text[], bigint[], jsonb[]) from public;
