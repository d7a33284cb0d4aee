create or replace function publish.move_kind(kind text, new_name text) returns void
language sql
as $$
  delete from publish.projection p where p.kind = move_kind.kind;
  update publish.capture c set kind = move_kind.new_name where c.kind = move_kind.kind;
  update publish.deferred d set kind = move_kind.new_name where d.kind = move_kind.kind;
  update publish.walk w set kind = move_kind.new_name where w.kind = move_kind.kind;
  delete from publish.walked w where w.kind = move_kind.new_name;
  update publish.walked w set kind = move_kind.new_name where w.kind = move_kind.kind;
  update publish.floor f set kind = move_kind.new_name where f.kind = move_kind.kind;
  update publish.departed d set kind = move_kind.new_name where d.kind = move_kind.kind;
  update publish.reader r
     set kinds = array_replace(r.kinds, move_kind.kind, move_kind.new_name)
   where move_kind.kind = any (r.kinds);
  update publish.subscription s
     set kinds = array_replace(s.kinds, move_kind.kind, move_kind.new_name)
   where move_kind.kind = any (s.kinds);
$$;
comment on function publish.move_kind(text, text) is
  'Renames a kind in what is said of it, for publish_rename.';
revoke all on function publish.move_kind(text, text) from public;
