create or replace function publish.published_since(judgement publish.judgement)
returns timestamptz[]
language plpgsql
as $$
begin
  return array(
    select (c.mark).enqueued_at
      from unnest((published_since.judgement).changes) c
     where c.verdict in ('new', 'changed'));
end
$$;
comment on function publish.published_since(publish.judgement) is
  'When the marks of the changes that get a rev were made.';
revoke all on function publish.published_since(publish.judgement) from public;
