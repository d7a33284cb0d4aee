create or replace function publish.shown_keys() returns text[]
language sql
stable
as $$ select array(select k.kind from publish.kind k where k.show_key order by k.kind) $$;
comment on function publish.shown_keys() is 'Kinds of which readers see the source key.';
revoke all on function publish.shown_keys() from public;
