create or replace function publish.is_as_written(capture publish.capture, function regprocedure)
returns boolean
language sql
stable
as $$
  select p.prosrc = publish.capture_body(is_as_written.capture)
         and p.proowner = publish.capture_role(is_as_written.capture)::regrole
         and p.prosecdef
    from pg_proc p
   where p.oid = is_as_written.function
$$;
comment on function publish.is_as_written(publish.capture, regprocedure) is
  'Whether a capture''s trigger function is what publish_capture makes of it.';
revoke all on function publish.is_as_written(publish.capture, regprocedure) from public;
