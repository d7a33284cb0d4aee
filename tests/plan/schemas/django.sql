-- Views as an application on Django's own tables has them, and data.
create view account as
  select u.id, u.username, nullif(trim(u.first_name || ' ' || u.last_name), '') as name,
         u.is_active and u.is_staff as may_enter,
         array(select g.name from auth_user_groups m join auth_group g on g.id = m.group_id
                where m.user_id = u.id order by g.name) as groups,
         (select count(*) from django_admin_log l where l.user_id = u.id) as actions,
         (select max(l.action_time) from django_admin_log l where l.user_id = u.id) as last_action
    from auth_user u;
create view permission as
  select p.id, c.app_label || '.' || p.codename as name, c.model
    from auth_permission p join django_content_type c on c.id = p.content_type_id;
create view account_permissions as
  select u.id, coalesce(array_agg(distinct p.name order by p.name)
                          filter (where p.name is not null), '{}') as permissions
    from auth_user u
    left join (select d.user_id, d.permission_id from auth_user_user_permissions d
                union
               select m.user_id, g.permission_id
                 from auth_user_groups m join auth_group_permissions g using (group_id)) held
           on held.user_id = u.id
    left join permission p on p.id = held.permission_id
   group by u.id;
create view group_members as
  select g.id, g.name, count(u.id) filter (where u.is_active) as active, count(u.id) as members,
         bool_or(u.is_superuser) as has_superuser
    from auth_group g
    left join auth_user_groups m on m.group_id = g.id
    left join auth_user u on u.id = m.user_id
   group by g.id;
create view members as
  select m.group_id, m.user_id, u.username, g.name as group_name
    from auth_user_groups m join auth_user u on u.id = m.user_id
    join auth_group g on g.id = m.group_id;
create view action_log as
  select l.id, l.action_time, u.username, c.model, l.object_repr,
         case l.action_flag when 1 then 'added' when 2 then 'changed' when 3 then 'deleted' end as did
    from django_admin_log l
    join auth_user u on u.id = l.user_id
    left join django_content_type c on c.id = l.content_type_id;
create view newest_action as
  select distinct on (l.user_id) l.user_id, l.id as log_id, l.object_repr
    from django_admin_log l order by l.user_id, l.action_time desc, l.id;
create view page as
  select f.id, f.url, f.title, string_agg(s.domain, ', ' order by s.domain) as domains
    from django_flatpage f
    join django_flatpage_sites fs on fs.flatpage_id = f.id
    join django_site s on s.id = fs.site_id
   where f.content <> ''
   group by f.id;
create view redirect as
  select r.site_id, r.old_path, s.domain, r.new_path,
         exists (select from django_flatpage f where f.url = r.new_path) as is_page
    from django_redirect r join django_site s on s.id = r.site_id;
create view unused_permission as
  select p.id, p.name from permission p
   where not exists (select from auth_group_permissions g where g.permission_id = p.id)
     and p.id not in (select d.permission_id from auth_user_user_permissions d);
create view actions_by_day as
  select date_trunc('day', l.action_time) as day, l.action_flag, count(*) as actions
    from django_admin_log l group by 1, 2;
create view by_name as
  select lower(u.username) as name, count(*) as accounts from auth_user u group by 1;
create view live_session as
  select s.session_key, s.expire_date from django_session s where s.expire_date > now();
create view access as
  select u.username, p.name
    from auth_user u join auth_user_user_permissions d on d.user_id = u.id
    join permission p on p.id = d.permission_id;

insert into auth_user (password, is_superuser, username, first_name, last_name, email, is_staff,
                       is_active, date_joined)
  select '', n % 7 = 0, 'user' || n, 'first' || n % 5, '', '', n % 3 = 0, n % 4 > 0, '2024-01-01'
    from generate_series(1, 20) n;
insert into auth_group (name) select 'group ' || n from generate_series(1, 5) n;
insert into auth_user_groups (user_id, group_id)
  select distinct 1 + n * 7 % 20, 1 + n % 5 from generate_series(1, 30) n;
insert into auth_group_permissions (group_id, permission_id)
  select distinct 1 + n % 5, 1 + n * 3 % 20 from generate_series(1, 30) n;
insert into auth_user_user_permissions (user_id, permission_id)
  select distinct 1 + n * 3 % 20, 1 + n % 24 from generate_series(1, 30) n;
insert into django_admin_log (action_time, object_repr, action_flag, change_message, user_id,
                              content_type_id)
  select '2024-01-01'::timestamptz + n * interval '5 hours', 'object ' || n, 1 + n % 3, '',
         1 + n % 20, nullif(n % 6, 0) from generate_series(1, 40) n;
insert into django_site (domain, name) select 'site' || n, 'site' || n from generate_series(1, 3) n;
insert into django_flatpage (url, title, content, enable_comments, template_name,
                             registration_required)
  select '/' || n || '/', 'page ' || n, repeat('x', n % 4), false, '', false
    from generate_series(1, 12) n;
insert into django_flatpage_sites (flatpage_id, site_id)
  select distinct 1 + n % 12, 1 + n % 4 from generate_series(1, 20) n;
insert into django_redirect (site_id, old_path, new_path)
  select 1 + n % 4, '/old' || n, '/' || n || '/' from generate_series(1, 12) n;
insert into django_session select 'key' || n, '', '2030-01-01' from generate_series(1, 9) n;
