create or replace function publish.needs_row_triggers(capture publish.capture, source regclass)
returns boolean
language sql
stable
as $$
  select needs_row_triggers.capture.always
      or publish.has_parts(needs_row_triggers.source)
      or exists (select from pg_inherits i where i.inhrelid = needs_row_triggers.source)
      -- Without a primary key, statement triggers cannot tell which row is which.
      or needs_row_triggers.capture.columns is not null
         and not exists (select from pg_index i
                          where i.indrelid = needs_row_triggers.source and i.indisprimary)
$$;
comment on function publish.needs_row_triggers(publish.capture, regclass) is
  'Whether a capture takes row triggers: statement triggers see neither what is written to a part '
  'nor what logical replication applies.';
revoke all on function publish.needs_row_triggers(publish.capture, regclass) from public;
