create or replace function publish.grant_lookup(capture_id int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_read regclass;
  v_unread regclass;
begin
  for v_read in select r.relid from publish.lookup_reads(grant_lookup.capture_id) r (relid) loop
    v_unread := case when has_any_column_privilege(v_read, 'select')
                     then publish.unread_by(reader => current_user, view => v_read)
                     else v_read end;
    if v_unread is not null then
      raise exception 'a lookup reads what its author may read' using
        errcode = 'PT400',
        detail = format('It reads %s, which %s may not.', v_unread, current_user),
        hint = format('As its owner: grant select on %s to %I', v_unread, current_user);
    end if;
    if not has_table_privilege('publish_projector', v_read, 'select') then
      execute format('grant select on %s to publish_projector', v_read);
    end if;
  end loop;
end
$$;
comment on function publish.grant_lookup(int) is
  'Lets publish_projector read what a capture''s lookup reads; as the caller, who owns that or may '
  'grant on it.';
revoke all on function publish.grant_lookup(int) from public;
grant execute on function publish.grant_lookup(int) to publish_admin;
