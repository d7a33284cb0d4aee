create or replace function publish.first_keys(capture publish.capture, op text) returns text
language sql
immutable
as $$
  select format(case
    when first_keys.capture.by_row and first_keys.op = 'UPDATE' then $sql$
    select array(select k.key from %1$s_key(new) k (key)) as keys,
           array(select k.key from %1$s_key(old) k (key)) as old_keys
      into v;$sql$
    when first_keys.capture.by_row then $sql$
    select array(select k.key from %1$s_key(new) k (key)
                  where tg_op operator(pg_catalog.=) 'INSERT'
                 union all
                 select k.key from %1$s_key(old) k (key)
                  where tg_op operator(pg_catalog.=) 'DELETE') as keys,
           array[]::pg_catalog.text[] as old_keys
      into v;$sql$
    when first_keys.op <> 'UPDATE' then $sql$
    select array(select k.key from captured_rows r, %1$s_key(r.*) k (key)
                  limit 33) as keys,
           array[]::pg_catalog.text[] as old_keys, 33 as most
      into v;$sql$
    when first_keys.capture.columns is null then $sql$
    select array(select k.key from captured_rows r, %1$s_key(r.*) k (key)
                  limit 17) as keys,
           array(select k.key from old_rows o, %1$s_key(o.*) k (key)
                  limit 17) as old_keys, 17 as most
      into v;$sql$
    else $sql$
    select array(select k.key from captured_rows r, %1$s_key(r.*) k (key)
                  limit 2) as keys,
           array(select k.key from old_rows o, %1$s_key(o.*) k (key)
                  limit 2) as old_keys, 2 as most
      into v
     where exists (select from captured_rows r join old_rows o
                            on not %1$s_unchanged(o.*, r.*));
    if not found then
      return null;
    end if;$sql$ end,
    format('publish_gate.capture_%s', first_keys.capture.capture_id))
$$;
comment on function publish.first_keys(publish.capture, text) is
  'Statement with which the trigger function of a capture with a plain key reads no more than '
  '"most" keys of its statement, or those of its row. op: UPDATE or another.';
revoke all on function publish.first_keys(publish.capture, text) from public;
