-- The gate: see publish.read_texts. It stands here because no other function sees the rows of this
-- trigger's statement. The subtransaction writes nothing, so it takes no transaction id.
create or replace function publish.gated_body(capture publish.capture) returns text
language sql
immutable
as $$
  select format($code$
declare
  v_keys text[];
  v_problem text;
  v_context text;
begin
  if tg_op <> 'TRUNCATE' and current_user = 'publish_projector'
     and %2$s then
    begin
      perform set_config('transaction_read_only', 'on', true),
              set_config('lock_timeout', '100ms', true);
      if tg_op = 'UPDATE' then
        v_keys := array(select distinct k.key from (%4$s) k
                         where k.key is not null and not %3$s limit 1000001);
      else
        v_keys := array(select distinct k.key from (%5$s) k
                         where k.key is not null limit 1000001);
      end if;
      raise sqlstate 'PTGAT'; -- what users' SQL did to the session is undone
    exception
      when query_canceled then
        get stacked diagnostics v_context = pg_exception_context;
        if v_context !~ e'^[^\n]* RAISE(\n|$)' then
          raise; -- not by a function of the key: a person, or a timeout
        end if;
        v_problem := sqlerrm;
      when assert_failure or others then
        if sqlstate <> 'PTGAT' or v_keys is null then
          v_problem := sqlerrm;
        end if;
    end;
    perform publish.drop_prepared();
    if v_problem is null and cardinality(v_keys) <= 1000000 then
      perform publish.append_gated_marks(kind => %1$L, source_ids => v_keys, lookup_id => %6$s);
      return null;
    end if;
    v_problem := coalesce(v_problem, 'more than 1,000,000 keys in one statement');
  elsif tg_op <> 'TRUNCATE' then
    v_problem := 'what it is made of was dropped, or it has another owner';
  end if;
  perform publish.mark_all(kind => %1$L, source => tg_relid, problem => v_problem);
  return null;
end
$code$,
    gated_body.capture.kind,
    publish.parts_there(capture => gated_body.capture, op => 'UPDATE'),
    publish.skip_unchanged(gated_body.capture),
    publish.capture_keys(capture => gated_body.capture, op => 'UPDATE'),
    publish.capture_keys(capture => gated_body.capture, op => 'INSERT'),
    coalesce(publish.lookup_id_of(gated_body.capture)::text, 'null'))
$$;
comment on function publish.gated_body(publish.capture) is
  'The body of the trigger function of a capture whose key is an expression: it collects the keys '
  'behind the gate, each once, and appends them outside of it.';
revoke all on function publish.gated_body(publish.capture) from public;
