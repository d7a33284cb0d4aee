-- Between two tries it holds no table: a reload that locks one table after another must not find
-- this transaction in its way, or one of the two would be the victim of a deadlock. The tables of a
-- page stay locked to the end of the transaction, so that no later snapshot sees them as empty.
create or replace function publish.verify_page(
  kind text,
  side text,
  after text,
  batch int,
  out next text,
  out checked int,
  out pending int,
  out differences jsonb
)
language plpgsql
as $$
declare
  v_kind publish.kind;
  v_began timestamptz := clock_timestamp();
begin
  loop
    v_kind := publish.check_kind(verify_page.kind);
    begin
      if publish.try_hold(relation => v_kind.view, wait_ms => 1) then
        if not (publish.is_prepared(v_kind) or publish.prepare_kind(v_kind)) then
          raise lock_not_available;
        end if;
        select c.next, c.checked, c.pending, c.differences
          into verify_page.next, verify_page.checked, verify_page.pending, verify_page.differences
          from publish.compare(
            kind => verify_page.kind, side => verify_page.side, after => verify_page.after,
            batch => verify_page.batch) c;
        return;
      end if;
    exception
      when lock_not_available then
        null; -- what only a function or a lookup reads is being replaced; this undid the hold too
      when others then
        if publish.is_transient(sqlstate) or sqlstate in ('PT400', 'PT404') then
          raise;
        end if;
        -- Other kinds are to be compared all the same.
        verify_page.pending := 0;
        verify_page.differences := jsonb_build_array(jsonb_build_object(
          'source_id', null, 'problem', 'unpublishable', 'message', sqlerrm));
        return;
    end;
    perform publish.await_tables(v_began);
  end loop;
end
$$;
comment on function publish.verify_page(text, text, text, int) is
  'publish.compare, once no table that it reads is being replaced. Until then it tries again, ten '
  'times a second. Where the view cannot be read checked is null, and differences has the message '
  'and no key. Errors: those of publish.compare and publish.await_tables.';
revoke all on function publish.verify_page(text, text, text, int) from public;
