create or replace function publish.present_name(name text, at timestamptz) returns text
language sql
stable
as $$
  select k.kind
    from publish.kind k
   where k.kind = present_name.name or present_name.name = any (k.former)
   order by case when k.created_at <= present_name.at then present_name.at - k.created_at end
            nulls last, k.created_at
   limit 1
$$;
comment on function publish.present_name(text, timestamptz) is
  'The name that a kind has now which was called this at that time: a name that was given up by '
  'publish_rename may be that of a newer kind. Null: no kind has or had the name.';
revoke all on function publish.present_name(text, timestamptz) from public;
