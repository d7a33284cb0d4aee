-- Only one transaction at a time starts jobs of a limited kind; a second one cannot know whether
-- the first will commit, and a start waits for nobody. So it is refused although places are free.
create or replace function publish.require_room(id text, kind text) returns void
language plpgsql
as $$
declare
  v_limit int;
  v_running bigint;
begin
  if not exists (select from publish.job_limit m where m.kind = require_room.kind)
     or publish.kinds_with_room(array[require_room.kind]) <> '{}' then
    return;
  end if;
  if publish.return_lost_jobs(array[require_room.kind]) > 0
     and publish.kinds_with_room(array[require_room.kind]) <> '{}' then
    return;
  end if;
  select m.max_running, (select count(*)
                           from publish.job j
                          where j.status = 'running' and j.kind = m.kind)
    into v_limit, v_running
    from publish.job_limit m
   where m.kind = require_room.kind;
  if v_running < v_limit then
    raise exception 'another session is starting a job of this kind' using
      errcode = 'PT423',
      detail = format('job %L, kind %L, %s of %s run', require_room.id, require_room.kind,
                      v_running, v_limit),
      hint = 'Try again.';
  end if;
  raise exception 'as many jobs of this kind run as may' using
    errcode = 'PT423',
    detail = format('job %L, kind %L, %s of %s run', require_room.id, require_room.kind,
                    v_running, v_limit),
    hint = 'Try again later, or raise the limit: publish_job_limit(kind, max_running).';
end
$$;
comment on function publish.require_room(text, text) is
  'Returns if a job of this kind may be started, after lost runs of a kind at its limit were '
  'returned. Its row of publish.job_limit is then locked to the end of the transaction. Errors: '
  'PT423 the kind is at its limit, or another transaction that starts a job of it is open.';
revoke all on function publish.require_room(text, text) from public;
