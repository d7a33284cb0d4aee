-- Together they wait a tenth of a second at most: the first 50 ms, each further one half as long.
create or replace function publish.hold(
  batch publish.drain_batch,
  out held publish.mark[],
  out aside publish.mark[],
  out locked publish.mark[],
  out off publish.mark[],
  out kinds publish.kind[]
)
language plpgsql
as $$
declare
  v_suspects text[] := publish.suspects(hold.batch);
  v_name text;
  v_kind publish.kind;
  v_kinds text[] := array[]::text[];
  v_off text[] := array[]::text[];
  v_lookups int[] := array[]::int[];
begin
  hold.held := publish.absorb(hold.batch);
  hold.aside := '{}';
  if v_suspects <> '{}' then
    hold.aside := array(select m from unnest(hold.held) m where m.kind = any (v_suspects));
    hold.held := array(select m from unnest(hold.held) m where m.kind <> all (v_suspects));
  end if;
  hold.locked := '{}';
  hold.off := '{}';
  hold.kinds := '{}';
  for v_name in select distinct m.kind collate "C" from unnest(hold.held) m loop
    select k.* into v_kind from publish.kind k where k.kind = v_name;
    if (not found or v_kind.created_at > (hold.batch).oldest)
       and exists (select from publish.kind k where v_name = any (k.former)) then
      hold.batch.marks := publish.former_names((hold.batch).marks);
      hold.batch.oldest := 'infinity';
      select h.* into hold.held, hold.aside, hold.locked, hold.off, hold.kinds
        from publish.hold(hold.batch) h;
      return;
    end if;
    v_kind.kind := v_name;
    if v_kind.settings ->> 'publishing' = 'off' then
      v_off := v_off || v_name;
    elsif v_kind.view is null
       or (publish.is_prepared(v_kind) or publish.prepare_kind(v_kind))
          and publish.try_hold(relation => v_kind.view,
                               wait_ms => (50 / power(2, cardinality(v_kinds)))::int) then
      hold.kinds := hold.kinds || v_kind;
    else
      v_kinds := v_kinds || v_name;
    end if;
  end loop;
  if v_off <> '{}' then
    hold.off := array(select m from unnest(hold.held) m where m.kind = any (v_off));
    hold.held := array(select m from unnest(hold.held) m where m.kind <> all (v_off));
  end if;
  if (hold.batch).looks_up then
    v_lookups := publish.locked_lookups(hold.held, cardinality(v_kinds));
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
  'publish.suspects says. off: those of kinds that are switched off. Those that publish.absorb '
  'takes are nowhere.';
revoke all on function publish.hold(publish.drain_batch) from public;
