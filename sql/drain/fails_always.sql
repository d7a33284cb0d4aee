create or replace function publish.fails_always(kind publish.kind) returns boolean
language plpgsql
stable
as $$
begin
  if fails_always.kind.view is not null then
    perform publish.read_entries(fails_always.kind, '{}');
  end if;
  return false;
exception when others then
  return true;
end
$$;
comment on function publish.fails_always(publish.kind) is
  'Whether the kind''s view fails even when it is asked for no key: then it is of no use to look '
  'for the key that fails.';
revoke all on function publish.fails_always(publish.kind) from public;
