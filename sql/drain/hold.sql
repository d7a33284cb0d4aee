-- Together they wait a tenth of a second at most: the first 50 ms, each further one half as long.
create or replace function publish.hold(
  batch publish.drain_batch,
  out held publish.mark[],
  out aside publish.mark[],
  out locked publish.mark[],
  out kinds publish.kind[]
)
language plpgsql
as $$
declare
  v_suspects text[] := publish.suspects(hold.batch);
  v_name text;
  v_kind publish.kind;
  v_read record;
  v_kinds text[] := array[]::text[];
  v_lookups int[] := array[]::int[];
begin
  hold.held := publish.absorb(hold.batch);
  hold.aside := '{}';
  if v_suspects <> '{}' then
    hold.aside := array(select m from unnest(hold.held) m where m.kind = any (v_suspects));
    hold.held := array(select m from unnest(hold.held) m where m.kind <> all (v_suspects));
  end if;
  hold.locked := '{}';
  hold.kinds := '{}';
  for v_name in select distinct m.kind collate "C" from unnest(hold.held) m loop
    select k.* into v_kind from publish.kind k where k.kind = v_name;
    v_kind.kind := v_name;
    if v_kind.view is null
       or (publish.is_prepared(v_kind) or publish.prepare_kind(v_kind))
          and publish.try_hold(relation => v_kind.view,
                               wait_ms => (50 / power(2, cardinality(v_kinds)))::int) then
      hold.kinds := hold.kinds || v_kind;
    else
      v_kinds := v_kinds || v_name;
    end if;
  end loop;
  if (hold.batch).looks_up then
    for v_read in
      select l.lookup_id, publish.qualified_name(t.relid) as relation
        from (select distinct m.lookup_id from unnest(hold.held) m
               where m.lookup_id is not null) l
       cross join lateral publish.lookup_reads(l.lookup_id) as t (relid)
    loop
      if not publish.try_hold(
           relation => v_read.relation,
           wait_ms => (50 / power(2, cardinality(v_kinds) + cardinality(v_lookups)))::int) then
        v_lookups := v_lookups || v_read.lookup_id;
      end if;
    end loop;
  end if;
  if v_kinds <> '{}' or v_lookups <> '{}' then
    hold.locked := array(select m from unnest(hold.held) m
                          where m.kind = any (v_kinds) or m.lookup_id = any (v_lookups));
    hold.held := array(select m from unnest(hold.held) m
                        where (m.kind = any (v_kinds) or m.lookup_id = any (v_lookups))
                              is not true);
  end if;
end
$$;
comment on function publish.hold(publish.drain_batch) is
  'The batch''s marks that can be read now (held): their projections are ready, and no table that '
  'these or the lookups read is replaced before the transaction ends. locked: the marks for which '
  'that could not be had, or whose projection another session makes. kinds: of the held ones; '
  'without a number where it is not defined. aside: those that must not be read in this drain, as '
  'publish.suspects says. Those that publish.absorb takes are nowhere.';
revoke all on function publish.hold(publish.drain_batch) from public;
