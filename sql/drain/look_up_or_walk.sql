create or replace function publish.look_up_or_walk(kind text, via int, marks text[], most int)
returns setof text
language plpgsql
rows 1000
as $$
begin
  if current_setting('publish.set_aside', true) = 'on' then
    insert into publish.rescan (kind, reason, next_page_at)
    values (look_up_or_walk.kind, 'a lookup alone ran into statement_timeout', clock_timestamp());
    return;
  end if;
  return query
    select l.key
      from publish.look_up(look_up_or_walk.via, look_up_or_walk.marks, look_up_or_walk.most)
             as l (key);
exception
  when operator_intervention or transaction_rollback or disk_full or out_of_memory
       or too_many_connections or lock_not_available then
    raise; -- not configuration_limit_exceeded: temp_file_limit is met by the lookup's query
  when others then
    insert into publish.rescan (kind, reason, next_page_at)
    values (look_up_or_walk.kind,
            format('the lookup of capture %s failed: %s', look_up_or_walk.via, sqlerrm),
            clock_timestamp());
end
$$;
comment on function publish.look_up_or_walk(text, int, text[], int) is
  'What publish.look_up finds; where that fails, nothing, and a walk over the whole kind is asked '
  'for, which marks every key.';
revoke all on function publish.look_up_or_walk(text, int, text[], int) from public;
