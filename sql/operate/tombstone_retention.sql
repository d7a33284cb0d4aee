create or replace function publish.tombstone_retention(kind publish.kind) returns interval
language sql
stable
as $$
  select coalesce((tombstone_retention.kind.settings ->> 'tombstone_retention')::interval,
                  case when tombstone_retention.kind.view is not null
                       then tombstone_retention.kind.retention end,
                  publish.setting_of('tombstone_retention')::interval)
$$;
comment on function publish.tombstone_retention(publish.kind) is
  'How long tombstones of this kind are kept.';
revoke all on function publish.tombstone_retention(publish.kind) from public;
