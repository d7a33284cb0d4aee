create or replace function publish.needs_row_triggers(capture publish.capture, source regclass)
returns boolean
language sql
stable
as $$
  select needs_row_triggers.capture.always
      or exists (select from pg_class c
                  where c.oid = needs_row_triggers.source and c.relkind = 'p')
      or exists (select from pg_inherits i
                  where needs_row_triggers.source in (i.inhrelid, i.inhparent))
      -- Without a primary key, statement triggers cannot tell which row is which.
      or needs_row_triggers.capture.columns is not null
         and not exists (select from pg_index i
                          where i.indrelid = needs_row_triggers.source and i.indisprimary)
$$;
comment on function publish.needs_row_triggers(publish.capture, regclass) is
  'Whether a capture takes row triggers: statement triggers see neither what is written to a part '
  'nor what logical replication applies.';
revoke all on function publish.needs_row_triggers(publish.capture, regclass) from public;
