-- Users' SQL runs kind by kind, each noted in publish.attempt before. What is published of a key is
-- found as publish.newest does it, with the place of its row.
create or replace function publish.judge(
  marks publish.mark[],
  kinds publish.kind[],
  phase int
) returns publish.judgement
language plpgsql
as $$
declare
  v_kind publish.kind;
  v_marks publish.mark[] := judge.marks;
  v_of record;
  v_all publish.judgement;
begin
  v_all := row('{}', 0, 0, 0, 0, 0, 0, 0);
  foreach v_kind in array judge.kinds loop
    if cardinality(judge.kinds) > 1 then
      v_marks := array(select m from unnest(judge.marks) m where m.kind = v_kind.kind);
    end if;
    perform publish.attempt(kind_no => v_kind.kind_no, phase => judge.phase);
    select array_agg(row(j.mark, v_kind.kind, j.source_id, j.payload, j.payload_hash, j.deleted,
                         j.sqlstate, j.message, j.verdict, v_kind.schema_version,
                         j.scope, j.place)::publish.change) as changes,
           count(*) filter (where j.verdict <> 'locked') as keys,
           count(*) filter (where j.verdict = 'new') as new,
           count(*) filter (where j.verdict = 'changed') as changed,
           count(*) filter (where j.verdict = 'renumbered') as renumbered,
           count(*) filter (where j.verdict = 'changed' and not j.deleted
                                  and j.scope is distinct from j.old_scope) as moved,
           count(*) filter (where j.verdict = 'failed') as failed,
           count(*) filter (where j.verdict = 'locked') as locked
      into v_of
      from (
        select e.*, p.place, p.scope as old_scope, s.scope,
               case when e.sqlstate = '55P03' then 'locked'
                    when e.sqlstate is not null then 'failed'
                    when p.place is null and e.deleted and v_kind.view is not null
                      then 'unchanged'
                    when p.place is null then 'new'
                    when v_kind.view is null and (e.mark).payload_no < p.payload_no
                      then 'unchanged'
                    when (p.payload_hash, p.deleted, p.schema_version)
                         is distinct from (e.payload_hash, e.deleted, v_kind.schema_version)
                         or not e.deleted and s.scope is distinct from p.scope
                      then 'changed'
                    when v_kind.view is not null then 'unchanged'
                    else 'renumbered' end as verdict
          from unnest(publish.project(v_kind, v_marks)) e
          left join lateral (
            select p.ctid as place, p.payload_hash, p.deleted, p.schema_version, p.payload_no,
                   p.scope
              from publish.published p
             where p.kind = v_kind.kind
               and p.source_id >= e.source_id and p.source_id <= e.source_id
             order by p.source_id, p.rev desc
             limit 1
          ) p on true
         cross join lateral (
           select case when v_kind.scope is not null then e.payload ->> v_kind.scope end as scope) s
         offset 0) j; -- so that the verdict is found once
    v_all := row(v_all.changes || v_of.changes, v_all.keys + v_of.keys, v_all.new + v_of.new,
                 v_all.changed + v_of.changed, v_all.renumbered + v_of.renumbered,
                 v_all.moved + v_of.moved, v_all.failed + v_of.failed, v_all.locked + v_of.locked);
  end loop;
  return v_all;
end
$$;
comment on function publish.judge(publish.mark[], publish.kind[], int) is
  'What the newest mark of each key comes to, as changes to the feed. kinds: of the marks. phase: '
  'as in publish.attempt.';
revoke all on function publish.judge(publish.mark[], publish.kind[], int) from public;
