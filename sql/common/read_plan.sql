-- The gate as in publish.read_texts, which cannot do this: EXPLAIN is refused in a STABLE function.
create or replace function publish.read_plan(
  query text,
  out cost float8,
  out rows float8,
  out scanned regclass[]
)
language plpgsql
as $$
declare
  v_plan json;
  v_read boolean := false;
begin
  begin
    perform set_config('transaction_read_only', 'on', true);
    v_plan := publish_gate.plan(read_plan.query);
    v_read := true;
    raise sqlstate 'PTGAT';
  exception when query_canceled or assert_failure or others then
    perform publish.drop_prepared();
    if not v_read then -- users' SQL raised it
      raise;
    end if;
  end;
  read_plan.cost := (v_plan -> 0 -> 'Plan' ->> 'Total Cost')::float8;
  read_plan.rows := (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
  read_plan.scanned := array(
    select distinct c.oid::regclass
      from jsonb_path_query(v_plan::jsonb, 'strict $.** ? (@."Node Type" == "Seq Scan")')
             as s (node)
      join pg_namespace n on n.nspname = s.node ->> 'Schema'
      join pg_class c on c.relnamespace = n.oid and c.relname = s.node ->> 'Relation Name');
end
$$;
comment on function publish.read_plan(text) is
  'What the planner expects of a query over users'' SQL, planned behind the gate; scanned: tables '
  'that it would read from end to end. Errors: those of the query; 55P03 when a table is being '
  'replaced; 42501 when row security would hide rows.';
revoke all on function publish.read_plan(text) from public;
