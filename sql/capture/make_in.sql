-- To read SQL is to run some of it: a literal of an array of a domain calls what the domain's CHECK
-- calls. The obvious way, to read it as publish_owner, hands that role to who writes a key. The
-- gate cannot be read-only here, so it is compared: as publish_projector that SQL could replace
-- the functions that publish_owner calls. Afterwards what was made is publish_owner's.
create or replace function publish.make_in(path text, statement text, name name) returns void
language plpgsql
as $$
declare
  v_before text := publish.gate_state(make_in.name);
begin
  perform publish_gate.gate_make(make_in.path, make_in.statement);
  perform publish.drop_prepared();
  if publish.gate_state(make_in.name) <> v_before
     or 1 <> (select count(*)
                from (select p.pronamespace as schema, p.proname as name from pg_proc p
                      union all
                      select c.relnamespace, c.relname from pg_class c) m
               where m.name = make_in.name and m.schema = 'publish_gate'::regnamespace) then
    raise exception 'the gate has changed while SQL was read' using
      errcode = 'PT423',
      detail = format('It was read to make %s.', make_in.name),
      hint = 'Try again. If it fails again, a type that the key or the lookup names runs SQL that '
             'changes functions.';
  end if;
end
$$;
comment on function publish.make_in(text, text, name) is
  'Executes a CREATE of the view or function publish_gate.<name>, whose text has users'' SQL, as '
  'publish_projector in a search_path. Errors: those of the statement; PT423 something else in '
  'the gate has changed.';
revoke all on function publish.make_in(text, text, name) from public;
