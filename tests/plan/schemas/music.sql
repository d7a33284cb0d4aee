-- A music shop.
create table artist (artist_id int primary key, name varchar(120));
create table album (album_id int primary key, title varchar(160) not null, artist_id int not null references artist);
create index on album (artist_id);
create table genre (genre_id int primary key, name varchar(120));
create table media_type (code varchar(8) primary key, name varchar(120));
create table track (
  track_id int primary key, name text not null, album_id int references album,
  media varchar(8) not null references media_type, genre_id int references genre,
  composer text, ms int not null, price numeric(10, 2) not null
);
create index on track (album_id);
create index on track (media);
create table playlist (playlist_id int primary key, name text);
create table playlist_track (playlist_id int references playlist, track_id int references track, primary key (playlist_id, track_id));
create table employee (employee_id int primary key, name text not null, reports_to int references employee, title text);
create index on employee (reports_to);
create table customer (customer_id int primary key, name text not null, email text unique, support_id int references employee);
create table invoice (invoice_id int primary key, customer_id int not null references customer, at date not null, total numeric(10, 2) not null);
create table invoice_line (
  invoice_line_id int primary key, invoice_id int not null references invoice,
  track_id int not null references track, price numeric(10, 2) not null, quantity int not null
);
create index on invoice_line (invoice_id);
create index on invoice_line (track_id);

insert into artist select n, 'artist ' || n from generate_series(1, 8) n;
insert into album select n, 'album ' || n, 1 + n * 3 % 7 from generate_series(1, 12) n;
insert into genre select n, 'genre ' || n from generate_series(1, 4) n;
insert into media_type select 'm' || n, 'media ' || n from generate_series(1, 3) n;
insert into track select n, 'track ' || n, nullif(1 + n % 11, 5), 'm' || 1 + n % 3, nullif(n % 5, 0), nullif('composer ' || n % 4, 'composer 0'), n * 1000, 0.99 from generate_series(1, 26) n;
insert into playlist select n, 'list ' || n from generate_series(1, 5) n;
insert into playlist_track select distinct 1 + n % 4, 1 + n * 5 % 26 from generate_series(1, 30) n;
insert into employee select n, 'employee ' || n, nullif(n / 2, 0), 'title ' || n % 2 from generate_series(1, 8) n;
insert into customer select n, 'customer ' || n, 'c' || n || '@example.org', nullif(n % 5, 0) from generate_series(1, 10) n;
insert into invoice select n, 1 + n * 3 % 9, date '2026-01-01' + n * 5, n from generate_series(1, 15) n;
insert into invoice_line select n, 1 + n % 14, 1 + n * 3 % 26, 0.99, 1 + n % 2 from generate_series(1, 30) n;

create view album_list as
  select al.album_id, al.title, ar.name as artist, count(t.track_id) as tracks, sum(t.ms) as ms
    from album al join artist ar on ar.artist_id = al.artist_id
    left join track t on t.album_id = al.album_id
   group by al.album_id, ar.artist_id;
create view track_list as
  select t.track_id, t.name, m.name as media, g.name as genre, a.title as album, r.name as artist
    from track t join media_type m on m.code = t.media
    left join (album a join artist r on r.artist_id = a.artist_id) on a.album_id = t.album_id
    left join genre g using (genre_id);
create view employee_tree as
  select e.employee_id, e.name, m.name as manager, g.name as above,
         (select count(*) from employee r where r.reports_to = e.employee_id) as reports,
         (select string_agg(c.name, ', ' order by c.customer_id) from customer c where c.support_id = e.employee_id) as customers
    from employee e left join employee m on m.employee_id = e.reports_to
    left join employee g on g.employee_id = m.reports_to;
create view playlist_list as
  select p.playlist_id, p.name,
         coalesce(jsonb_agg(jsonb_build_object('track', t.name, 'album', a.title) order by t.track_id)
                  filter (where t.track_id is not null), '[]') as tracks
    from playlist p
    left join playlist_track pt on pt.playlist_id = p.playlist_id
    left join track t on t.track_id = pt.track_id
    left join album a on a.album_id = t.album_id
   group by p.playlist_id;
create view track_sales as
  with sold as (
    select l.track_id, sum(l.quantity) as quantity, max(i.at) as last_at
      from invoice_line l join invoice i on i.invoice_id = l.invoice_id group by l.track_id
  ), listed as (
    select pt.track_id, count(*) as lists from playlist_track pt group by pt.track_id
  )
  select t.track_id, t.name, coalesce(s.quantity, 0) as sold, s.last_at, coalesce(l.lists, 0) as lists
    from track t left join sold s on s.track_id = t.track_id left join listed l on l.track_id = t.track_id;
create view customer_genres as
  select i.customer_id, t.genre_id, sum(l.quantity) as quantity
    from invoice i join invoice_line l using (invoice_id) join track t using (track_id)
   where t.genre_id is not null
   group by i.customer_id, t.genre_id;
create view customer_days as
  select i.customer_id, i.at, sum(i.total) as total, sum(l.quantity) as quantity
    from invoice i left join invoice_line l using (invoice_id) group by i.customer_id, i.at;
create view people as
  select 'employee'::text as role, e.employee_id as id, e.name from employee e
  union all
  select 'customer'::text, c.customer_id, c.name from customer c
  union all
  select 'artist'::text, a.artist_id, a.name::text from artist a;
create view names as
  select c.name, c.customer_id from customer c where c.support_id is not null
  union
  select e.name, e.employee_id from employee e;
create view customers_not_served as
  select c.customer_id from customer c
  except
  select i.customer_id from invoice i;
create view list_or_sold as
  select coalesce(p.track_id, s.track_id) as track_id, p.lists, s.lines
    from (select pt.track_id, count(*) as lists from playlist_track pt group by pt.track_id) p
    full join (select l.track_id, count(*) as lines from invoice_line l group by l.track_id) s
      on s.track_id = p.track_id;
create view list_using_sold as
  select track_id, p.lists, s.lines
    from (select pt.track_id, count(*) as lists from playlist_track pt group by pt.track_id) p
    full join (select l.track_id, count(*) as lines from invoice_line l group by l.track_id) s
      using (track_id);
create view longest_in_album as
  select distinct on (t.album_id) t.album_id, t.track_id, t.name, t.ms
    from track t where t.album_id is not null order by t.album_id, t.ms desc, t.track_id;
create view first_in_media as
  select distinct on (t.media) t.track_id, t.media from track t order by t.media, t.track_id;
create view composers as select distinct t.composer from track t where t.composer is not null;
create view buyers as
  select c.customer_id, c.name from customer c
   where (c.customer_id, true) in (select i.customer_id, i.total > 3 from invoice i)
      or exists (select from invoice i join invoice_line l on l.invoice_id = i.invoice_id
                   join track t on t.track_id = l.track_id
                  where i.customer_id = c.customer_id and t.genre_id = 2);
create view customers_by_support as
  select e.employee_id, e.name, c.customer_id from customer c right join employee e on e.employee_id = c.support_id
   where c.customer_id is not null;
create view playlists_of_artist as
  select ar.artist_id, array_agg(distinct pt.playlist_id order by pt.playlist_id) as playlists
    from playlist_track pt, track t, album al, artist ar
   where t.track_id = pt.track_id and al.album_id = t.album_id and ar.artist_id = al.artist_id
   group by ar.artist_id;
-- What cannot be followed.
create view same_album as
  select a.track_id, b.track_id as other_id from track a join track b on a.album_id = b.album_id and a.track_id < b.track_id;
create view reports as
  with recursive below (employee_id, boss) as (
    select e.employee_id, e.employee_id from employee e
    union all
    select e.employee_id, b.boss from below b join employee e on e.reports_to = b.employee_id
  ) select b.boss as employee_id, count(*) as below from below b group by b.boss;
create materialized view totals as select i.customer_id, sum(i.total) as total from invoice i group by i.customer_id;
create view with_totals as select c.customer_id, t.total from customer c join totals t on t.customer_id = c.customer_id;
create view shares as select i.invoice_id, i.total / sum(i.total) over () as share from invoice i;
create view artist_names as select a.name from artist a;
