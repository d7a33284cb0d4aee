-- Here and not in the trigger: whoever inserts an airport and whoever renames its country cannot
-- see each other. The drain asks after the rename committed; what it does not see then commits
-- later, with a mark of its own.
create or replace function publish.fan_out(
  inout scanned int,
  inout kinds text[],
  inout source_ids text[],
  inout seqs bigint[],
  inout payloads jsonb[],
  inout deleted boolean[],
  inout headers jsonb[],
  vias int[],
  locked_kinds text[],
  locked_vias int[],
  most int,
  out looked_up int
)
language plpgsql
as $$
begin
  with mark as (
    select u.*
      from (select u.*
              from unnest(fan_out.kinds, fan_out.source_ids, fan_out.seqs, fan_out.payloads,
                          fan_out.deleted, fan_out.headers, fan_out.vias)
                     as u (kind, source_id, seq, payload, deleted, headers, via)
             limit fan_out.scanned) u
     where u.kind <> all (fan_out.locked_kinds)
       and (u.via is null or u.via <> all (fan_out.locked_vias))
  ),
  every as (
    select m.kind, m.source_id, m.seq, m.payload, m.deleted, m.headers, false as is_found
      from mark m
     where m.via is null
    union all
    select g.kind, l.key, g.seq, null, false, g.headers, true
      from (select m.kind, m.via, m.headers, max(m.seq) as seq,
                   array_agg(distinct m.source_id) as marks
              from mark m
             where m.via is not null
             group by m.kind, m.via, m.headers) g
     cross join lateral publish.look_up_or_walk(g.kind, g.via, g.marks, fan_out.most) l (key)
  )
  select count(*), array_agg(e.kind), array_agg(e.source_id), array_agg(e.seq),
         array_agg(e.payload), array_agg(e.deleted), array_agg(e.headers),
         count(*) filter (where e.is_found)
    into fan_out.scanned, fan_out.kinds, fan_out.source_ids, fan_out.seqs, fan_out.payloads,
         fan_out.deleted, fan_out.headers, fan_out.looked_up
    from (select e.*
            from (select e.* from every e limit fan_out.most) e
           order by e.is_found) e;
end
$$;
comment on function publish.fan_out(
  int, text[], text[], bigint[], jsonb[], boolean[], jsonb[], int[], text[], int[], int) is
  'A batch as publish.read_batch returns it, with each mark that names a lookup replaced by the '
  'keys it finds, at the end, and without marks of locked kinds and lookups. most: of how many to '
  'stop, null: never. looked_up: how many were found.';
revoke all on function publish.fan_out(
  int, text[], text[], bigint[], jsonb[], boolean[], jsonb[], int[], text[], int[], int)
  from public;
