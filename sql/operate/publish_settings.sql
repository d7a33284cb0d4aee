create or replace function public.publish_settings()
returns table (
  name text, kind text, value text, default_value text, lowest text, highest text, scope text,
  meaning text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select s.name, k.kind, coalesce(k.value, s.value, s.default_value), s.default_value,
         coalesce(s.lowest, array_to_string(s.words, ' | ')), s.highest, s.scope, s.meaning
    from publish.setting s
   cross join lateral (
     select null::text as kind, null::text as value
     union all
     select k.kind, k.settings ->> s.name
       from publish.kind k
      where k.settings ? s.name
   ) k
   order by s.name, k.kind nulls first
$$;
comment on function public.publish_settings() is
  'Every setting with the value that counts, its default and its bounds (of words: which there '
  'are); one more row for each kind that has its own value. scope: whether publish_set takes it '
  'for the installation, a kind, or both.';
revoke all on function public.publish_settings() from public;
grant execute on function public.publish_settings() to publish_worker, publish_admin;
