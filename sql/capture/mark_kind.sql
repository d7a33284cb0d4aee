create or replace function publish.mark_kind(kind text) returns bigint
language plpgsql
as $$
declare
  v_key record;
  v_marked bigint;
begin
  select c.* into v_key from publish.key_columns(mark_kind.kind) c;
  execute format(
    'insert into publish.outbox (kind, source_id) '
    'select $1, k.source_id from (select %s as source_id from %s v) k '
    'where octet_length(k.source_id) between 1 and 2000',
    v_key.source_id, v_key.view)
  using mark_kind.kind;
  get diagnostics v_marked = row_count;
  return v_marked + publish.mark_published(mark_kind.kind);
end
$$;
comment on function publish.mark_kind(text) is
  'Marks every key dirty that the kind''s view shows or that is published of it; returns how many.';
revoke all on function publish.mark_kind(text) from public;
