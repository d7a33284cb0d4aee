create or replace function publish.replaced_views(kind text default null)
returns table (kind text, in_place boolean)
language sql
stable
as $$
  select d.kind, split_part(d.before, ':', 1) = split_part(d.now, ':', 1)
    from (
      select k.kind, publish.view_digest(k.view) as now,
             coalesce(
               (select w.digest from publish.walk w
                 where w.kind = k.kind and w.position is not null
                 order by w.began_at desc limit 1),
               (select e.digest from publish.walked e where e.kind = k.kind),
               k.digest) as before
        from publish.kind k
       where k.view is not null and k.kind = coalesce(replaced_views.kind, k.kind)
         and not exists (select from publish.walk w where w.kind = k.kind and w.position is null)
    ) d
   where d.now <> d.before
$$;
comment on function publish.replaced_views(text) is
  'Kinds whose view, or what it is made of, was replaced since the last walk began, and for which '
  'no walk is asked. in_place: it is the same view still, and not one of the same name, as after '
  'DROP and CREATE or a restore.';
revoke all on function publish.replaced_views(text) from public;
