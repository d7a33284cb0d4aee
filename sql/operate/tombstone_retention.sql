create or replace function publish.tombstone_retention(kind publish.kind, otherwise interval)
returns interval
language sql
stable
as $$
  select coalesce((tombstone_retention.kind.settings ->> 'tombstone_retention')::interval,
                  case when tombstone_retention.kind.view is not null
                       then tombstone_retention.kind.retention end,
                  tombstone_retention.otherwise)
$$;
comment on function publish.tombstone_retention(publish.kind, interval) is
  'How long tombstones of this kind are kept; otherwise: the setting for all kinds.';
revoke all on function publish.tombstone_retention(publish.kind, interval) from public;
