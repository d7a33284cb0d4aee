create or replace function publish.setting_of(name text, kind text default null) returns text
language sql
stable
as $$
  select coalesce((select k.settings ->> setting_of.name
                     from publish.kind k
                    where k.kind = setting_of.kind),
                  s.value, s.default_value)
    from publish.setting s
   where s.name = setting_of.name
$$;
comment on function publish.setting_of(text, text) is
  'The value of a setting that counts: that of the kind, else that of the installation, else the '
  'default.';
revoke all on function publish.setting_of(text, text) from public;
