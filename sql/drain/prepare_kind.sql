-- Made again only when something it names has another identity (publish.hold looks): parsing and
-- planning it in each drain cost more than half of a drain of one key. The plans in it follow the
-- view by themselves. Another session, such as one that verifies, may do the same and not have
-- committed yet.
create or replace function publish.prepare_kind(kind publish.kind) returns boolean
language plpgsql
set lock_timeout = '50ms'
as $$
declare
  v_name text := format('publish_gate.project_%s(publish.mark[])', prepare_kind.kind.kind_no);
begin
  delete from publish.projection p where p.kind = prepare_kind.kind.kind;
  execute format(
    'create or replace function publish_gate.project_%s(marks publish.mark[])'
    ' returns publish.entry[] language plpgsql stable security definer %s as %L',
    prepare_kind.kind.kind_no, publish.gate_settings(),
    e'#variable_conflict use_column\n' || publish.projection_sql(prepare_kind.kind));
  execute format('alter function %s owner to publish_projector', v_name);
  execute format('grant execute on function %s to publish_owner', v_name);
  insert into publish.projection (kind, view, key, validator, relation, types)
  values (prepare_kind.kind.kind, prepare_kind.kind.view, prepare_kind.kind.key,
          prepare_kind.kind.validator, to_regclass(prepare_kind.kind.view),
          publish.key_types(prepare_kind.kind));
  return true;
exception
  when lock_not_available then
    return false;
  when others then
    if publish.is_transient(sqlstate) then
      raise;
    end if;
    -- publish.read_entries says what is wrong.
    delete from publish.projection p where p.kind = prepare_kind.kind.kind;
    return true;
end
$$;
comment on function publish.prepare_kind(publish.kind) is
  'Makes publish_gate.project_<kind_no> of the kind''s definition and its view as it is now. Where '
  'it cannot be made there is no row of publish.projection. False: another session is making it.';
revoke all on function publish.prepare_kind(publish.kind) from public;
