create or replace function publish.shown(kind text, source_ids text[]) returns text[]
language plpgsql
stable
as $$
declare
  v_key record;
  v_keys text[];
begin
  select c.* into v_key from publish.key_columns(shown.kind) c;
  if cardinality(v_key.refs) = 1 then
    execute format('select array(select %s from %s v where %s = any ($1::%s[]))',
                   v_key.source_id, v_key.view, v_key.refs[1], v_key.types[1])
       into v_keys
      using shown.source_ids;
  else
    execute format(
      'select array(select %s from (select publish.key_parts(u.id, $2) as part'
      ' from unnest($1) as u (id)) d cross join lateral (select v.* from %s v where %s) v)',
      v_key.source_id, v_key.view,
      (select string_agg(format('%s = d.part[%s]::%s', r.ref, r.n, r.type), ' and ')
         from unnest(v_key.refs, v_key.types) with ordinality as r (ref, type, n)))
       into v_keys
      using shown.source_ids, v_key.columns;
  end if;
  return v_keys;
end
$$;
comment on function publish.shown(text, text[]) is
  'Which of these keys the kind''s view shows, spelled as it spells them. Errors: those of a cast '
  'to the key''s types, and PT404.';
revoke all on function publish.shown(text, text[]) from public;
