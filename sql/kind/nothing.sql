create or replace view publish.nothing as
  select null::text as id where false;
comment on view publish.nothing is
  'What an unpublished kind shows: a walk over it makes each of its keys a tombstone.';
revoke all on publish.nothing from public;
grant select on publish.nothing to publish_projector, publish_admin;
