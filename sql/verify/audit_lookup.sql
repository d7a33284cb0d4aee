-- It is asked for nothing, which reads nothing, but needs every right and raises as the drain's
-- lookup does.
create or replace function publish.audit_lookup(capture_id int)
returns table (object text, problem text, hint text)
language plpgsql
as $$
declare
  v_source text := (
    select coalesce(publish.captured_table(c.capture_id)::text, c.source)
      from publish.capture c where c.capture_id = audit_lookup.capture_id
  );
begin
  perform publish.look_up(lookup_id => audit_lookup.capture_id, ids => '{}', most => 1);
  return query select a.object, a.problem, a.hint
                 from publish.audit_lookup_index(audit_lookup.capture_id) a;
exception when others then
  if sqlstate in ('PT404', '55P03') then
    return; -- gone, which publish.audit_captures says; a table is being replaced
  elsif publish.is_transient(sqlstate) then
    raise;
  end if;
  return query
    select v_source, format('the lookup fails: %s', sqlerrm),
           coalesce(h.hint, 'Capture the table again, with a lookup that works.')
      from (select string_agg(publish.access_hint(r.relid), '; ') as hint
              from publish.lookup_reads(audit_lookup.capture_id) as r (relid)
             where sqlstate = '42501') h;
end
$$;
comment on function publish.audit_lookup(int) is
  'Why publish_projector cannot run the lookup of a capture, or not fast: the table, the problem '
  'and what to do.';
revoke all on function publish.audit_lookup(int) from public;
