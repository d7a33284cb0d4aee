-- The gate for projections; publish.read_texts says how it works. The kept plan of a small read may
-- be older than the rows of its tables, so it must not be a full scan; a large read is planned each
-- time.
create or replace function publish.read_entries(kind publish.kind, marks publish.mark[])
returns publish.entry[]
language plpgsql
stable
as $$
declare
  v_is_small boolean := cardinality(read_entries.marks) <= 20;
  v_entries publish.entry[];
  v_is_read boolean := false;
begin
  perform set_config('transaction_read_only', 'on', true),
          set_config('enable_seqscan', case when v_is_small then 'off' else 'on' end, true),
          set_config('plan_cache_mode', case when v_is_small then 'force_generic_plan'
                                             else 'force_custom_plan' end, true);
  execute format('select publish_gate.project_%s($1)', read_entries.kind.kind_no)
     into v_entries
    using read_entries.marks;
  v_is_read := true;
  raise sqlstate 'PTGAT';
exception when query_canceled or assert_failure or others then
  perform publish.drop_prepared();
  if not v_is_read then -- users' SQL raised it
    raise;
  end if;
  return v_entries;
end
$$;
comment on function publish.read_entries(publish.kind, publish.mark[]) is
  'What the kind''s view says of these keys, spelled as the view spells them, read behind the '
  'gate: an entry each, deleted where it shows none. Errors: those of the view, as they are.';
revoke all on function publish.read_entries(publish.kind, publish.mark[]) from public;
