-- The triggers name the rows of their statement captured_rows and, of an UPDATE, what they were
-- before old_rows. Of the old rows only those matter that had another key or were another row: the
-- others' keys are those of the new rows.
create or replace function publish.capture_keys(capture publish.capture, op text) returns text
language sql
immutable
as $$
  select format(case
    when capture_keys.capture.by_row then $sql$
          select k.key from %1$s_key(new) k (key) where tg_op operator(pg_catalog.<>) 'DELETE'
          union
          select k.key from %1$s_key(old) k (key) where tg_op operator(pg_catalog.<>) 'INSERT'$sql$
    when capture_keys.op <> 'UPDATE' then $sql$
          select k.key from captured_rows r, %1$s_key(r.*) k (key)$sql$
    when capture_keys.capture.columns is null then $sql$
          select k.key from captured_rows r, %1$s_key(r.*) k (key)
          union all
          select k.key from old_rows o, %1$s_key(o.*) k (key)$sql$
    else $sql$
          select k.key from captured_rows r, %1$s_key(r.*) k (key)
           where not exists (select from old_rows o
                              where %1$s_unchanged(o.*, r.*))
          union all
          select k.key from old_rows o, %1$s_key(o.*) k (key)
           where not exists (select from captured_rows r
                              where %1$s_same(o.*, r.*))$sql$ end,
    format('publish_gate.capture_%s', capture_keys.capture.capture_id))
$$;
comment on function publish.capture_keys(publish.capture, text) is
  'Query that a capture''s trigger function asks for all keys of its statement, or of its row. '
  'op: UPDATE or another.';
revoke all on function publish.capture_keys(publish.capture, text) from public;
