-- A batch that fails is tried again in sixteen parts, each in a subtransaction of its own, down to
-- single keys. Errors that say nothing about the keys (timeouts, deadlocks, lack of memory or
-- disk) are passed on: the drain is tried again. publish.set_aside = on quarantines the batch
-- unseen: the loop's answer to a key that times out alone.
create or replace function publish.project(
  kind text,
  source_ids text[],
  seqs bigint[],
  headers jsonb[],
  view_works boolean default false
) returns table (
  source_id text, seq bigint, payload jsonb, deleted boolean, headers_of jsonb, sqlstate_of text,
  message text
)
language plpgsql
stable
rows 500
as $$
declare
  v_count int := cardinality(project.source_ids);
  v_part int := (v_count + 15) / 16;
  v_sqlstate text;
  v_message text;
begin
  if current_setting('publish.set_aside', true) = 'on' then
    return query
      select u.source_id, u.seq, null::jsonb, false, u.headers, '57014',
             'the projection of this key alone ran into statement_timeout'
        from unnest(project.source_ids, project.seqs, project.headers)
               as u (source_id, seq, headers);
    return;
  end if;
  return query
    select p.*
      from publish.project_keys(project.kind, project.source_ids, project.seqs,
                                project.headers) p;
exception
  when operator_intervention or transaction_rollback or disk_full or out_of_memory
       or too_many_connections or lock_not_available then
    raise; -- not configuration_limit_exceeded: temp_file_limit is met by one key's query
  when others then
    get stacked diagnostics v_sqlstate = returned_sqlstate, v_message = message_text;
    -- Does the view fail for no key at all? Then it is the view, and every key waits for it.
    if v_count > 1 and not project.view_works then
      begin
        perform from publish.project_keys(project.kind, '{}', '{}', '{}');
      exception when others then
        v_count := 1;
      end;
    end if;
    if v_count = 1 then
      -- Published under another key, of which the view can show nothing any more: a tombstone.
      return query
        select u.source_id, u.seq, null::jsonb, g.gone, u.headers,
               case when not g.gone then v_sqlstate end, case when not g.gone then v_message end
          from unnest(project.source_ids, project.seqs, project.headers)
                 as u (source_id, seq, headers)
         cross join lateral (
           select exists (select from publish.published p
                           where p.kind = project.kind and p.source_id = u.source_id)
                  and not publish.is_key(project.kind, u.source_id) as gone) g;
    else
      -- One key spelled in two ways may be in two parts.
      return query
        select distinct on (p.source_id) p.*
          from generate_series(1, v_count, v_part) as n
         cross join lateral publish.project(
           project.kind, project.source_ids[n:n + v_part - 1], project.seqs[n:n + v_part - 1],
           project.headers[n:n + v_part - 1], true) p
         order by p.source_id, p.seq desc;
    end if;
end
$$;
comment on function publish.project(text, text[], bigint[], jsonb[], boolean) is
  'publish.project_keys, with keys that fail found in ever smaller parts and returned with '
  'SQLSTATE and message instead of a payload. view_works: the view does not fail for every key.';
revoke all on function publish.project(text, text[], bigint[], jsonb[], boolean)
  from public;
