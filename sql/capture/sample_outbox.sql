-- Counting would read the whole outbox, a counter would be a row that all writers wait for. At most
-- `pages` pages are read, in even steps from a random place, so that of a run of marks of one
-- transaction the right share is hit. It sees what its caller's snapshot sees: marks of others
-- before their commit, and those that were rolled back, do not count.
create or replace function publish.sample_outbox(pages int)
returns table (kind text, marks float8)
language plpgsql
set enable_seqscan = off
set enable_indexscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_block_size int := current_setting('block_size')::int;
  v_sizes bigint[] := array[pg_relation_size('publish.outbox_0') / v_block_size,
                            pg_relation_size('publish.outbox_1') / v_block_size,
                            pg_relation_size('publish.outbox_2') / v_block_size];
  v_all bigint := v_sizes[1] + v_sizes[2] + v_sizes[3];
  v_step float8 := greatest(v_all::float8 / sample_outbox.pages, 1);
  v_at float8 := case when v_step > 1 then random() * v_step else 0 end;
  v_block bigint;
  v_slot smallint;
  v_state publish.drain;
begin
  select d.* into v_state from publish.drain d order by d.drain_id desc limit 1;
  v_state.drained := coalesce(v_state.drained, '3:3:');
  while v_at < v_all loop
    v_block := floor(v_at);
    v_slot := 0;
    while v_block >= v_sizes[v_slot + 1] loop
      v_block := v_block - v_sizes[v_slot + 1];
      v_slot := v_slot + 1;
    end loop;
    return query
      select o.kind, sum(cardinality(o.source_ids)) * v_step
        from publish.outbox o
       where o.slot = v_slot
         and o.ctid >= format('(%s,0)', v_block)::tid
         and o.ctid < format('(%s,0)', v_block + 1)::tid
         and (o.xid >= pg_snapshot_xmax(v_state.drained)
              or o.xid = any (array(select pg_snapshot_xip(v_state.drained))))
         and (o.xid = v_state.partial_xid and o.seq <= v_state.partial_seq) is not true
       group by o.kind;
    v_at := v_at + v_step;
  end loop;
end
$$;
comment on function publish.sample_outbox(int) is
  'About how many marks of each kind there are to drain, in parts to be summed: counted on so many '
  'pages of the outbox and extrapolated. Exact if it has no more pages. A run of marks is '
  'estimated to one step, which is 1/pages of the outbox.';
revoke all on function publish.sample_outbox(int) from public;
