-- A film rental. Views: one a line of the table in test_views.py.
create table language (language_id serial primary key, name varchar(20) not null);
create table category (category_id serial primary key, name text not null);
create table actor (actor_id serial primary key, first_name varchar(45) not null, last_name varchar(45) not null);
create table film (
  film_id serial primary key, title text not null, rating varchar(5),
  language_id int not null references language, original_language_id int references language,
  length int, rate numeric(4, 2) not null default 2.99
);
create table film_actor (
  actor_id int references actor, film_id int references film, billing int,
  primary key (actor_id, film_id)
);
create index on film_actor (film_id);
create table film_category (film_id int references film, category_id int references category, primary key (film_id));
create table country (country_id serial primary key, name text not null);
create table city (city_id serial primary key, name text not null, country_id int not null references country);
create index on city (country_id);
create table address (address_id serial primary key, street text not null, city_id int not null references city);
create index on address (city_id);
create table store (store_id serial primary key, address_id int not null references address);
create table customer (
  customer_id serial primary key, store_id int not null references store, name text not null,
  address_id int not null references address, active boolean not null default true
);
create index on customer (address_id);
create table inventory (inventory_id serial primary key, film_id int not null references film, store_id int not null references store);
create index on inventory (film_id);
create table rental (
  rental_id serial primary key, inventory_id int not null references inventory,
  customer_id int not null references customer, rented_at timestamptz not null, returned_at timestamptz
);
create index on rental (inventory_id);
create index on rental (customer_id);
create table payment (
  payment_id serial primary key, customer_id int not null references customer,
  rental_id int references rental on delete set null, amount numeric(5, 2) not null
);

insert into language (name) select 'language ' || n from generate_series(1, 4) n;
insert into category (name) select 'category ' || n from generate_series(1, 5) n;
insert into actor (first_name, last_name) select 'first ' || n, 'last ' || n % 7 from generate_series(1, 12) n;
insert into film (title, rating, language_id, original_language_id, length)
  select 'film ' || n, (array['G', 'PG', null])[1 + n % 3], 1 + n % 4, nullif(n % 5, 0), 60 + n from generate_series(1, 15) n where true;
insert into film_actor select distinct 1 + n * 5 % 12, 1 + n * 7 % 15, n from generate_series(1, 30) n on conflict do nothing;
insert into film_category select n, 1 + n % 5 from generate_series(1, 13) n;
insert into country (name) select 'country ' || n from generate_series(1, 4) n;
insert into city (name, country_id) select 'city ' || n, 1 + n % 4 from generate_series(1, 6) n;
insert into address (street, city_id) select 'street ' || n, 1 + n % 6 from generate_series(1, 14) n;
insert into store (address_id) values (1), (2), (3);
insert into customer (store_id, name, address_id, active) select 1 + n % 3, 'customer ' || n, 1 + n % 14, n % 4 <> 0 from generate_series(1, 12) n;
insert into inventory (film_id, store_id) select 1 + n * 3 % 13, 1 + n % 3 from generate_series(1, 20) n;
insert into rental (inventory_id, customer_id, rented_at, returned_at)
  select 1 + n * 7 % 20, 1 + n * 5 % 12, '2026-01-01'::timestamptz + n * interval '7 hours', case when n % 3 > 0 then '2026-02-01'::timestamptz end from generate_series(1, 30) n;
insert into payment (customer_id, rental_id, amount) select r.customer_id, nullif(r.rental_id, 7), 1 + r.rental_id % 5 from rental r;

create view film_list as
  select f.film_id, f.title, f.rate, l.name as language, c.name as category,
         string_agg(a.first_name || ' ' || a.last_name, ', ' order by a.actor_id) as actors
    from film f
    join language l using (language_id)
    left join film_category fc on fc.film_id = f.film_id
    left join category c on c.category_id = fc.category_id
    left join film_actor fa on fa.film_id = f.film_id
    left join actor a on a.actor_id = fa.actor_id
   group by f.film_id, l.name, c.name;
create view film_cast as
  select f.film_id, f.title,
         (select json_agg(json_build_object('id', a.actor_id, 'name', a.last_name) order by fa.billing, a.actor_id)
            from film_actor fa join actor a on a.actor_id = fa.actor_id
           where fa.film_id = f.film_id) as people
    from film f;
create view customer_list as
  select cu.customer_id as id, cu.name, a.street, city.name as city, country.name as country,
         case when cu.active then 'active' else '' end as notes
    from customer cu
    join address a on cu.address_id = a.address_id
    join city on a.city_id = city.city_id
    join country on city.country_id = country.country_id;
create view store_sales as
  select s.store_id, (c.name || ',' || cy.name) as store, coalesce(sum(p.amount), 0) as total
    from store s
    join address a on s.address_id = a.address_id
    join city c on a.city_id = c.city_id
    join country cy on c.country_id = cy.country_id
    left join inventory i on i.store_id = s.store_id
    left join rental r on i.inventory_id = r.inventory_id
    left join payment p on p.rental_id = r.rental_id
   group by s.store_id, c.name, cy.name;
create view category_sales as
  select c.category_id, c.name, sum(p.amount) as total
    from payment p
    join rental r on p.rental_id = r.rental_id
    join inventory i on r.inventory_id = i.inventory_id
    join film f on i.film_id = f.film_id
    join film_category fc on f.film_id = fc.film_id
    join category c on fc.category_id = c.category_id
   group by c.category_id, c.name;
create view never_rented as
  select f.film_id, f.title from film f
   where not exists (select from inventory i join rental r on r.inventory_id = i.inventory_id
                      where i.film_id = f.film_id);
create view never_stocked as
  select f.film_id, f.title from film f left join inventory i on i.film_id = f.film_id
   where i.inventory_id is null;
create view last_rental as
  select c.customer_id, c.name, l.rental_id, l.title
    from customer c
    left join lateral (
      select r.rental_id, f.title
        from rental r join inventory i on i.inventory_id = r.inventory_id
        join film f on f.film_id = i.film_id
       where r.customer_id = c.customer_id
       order by r.rented_at desc, r.rental_id limit 1) l on true;
create view two_languages as
  select f.film_id, f.title, l.name as spoken, o.name as original
    from film f join language l on l.language_id = f.language_id
    left join language o on o.language_id = f.original_language_id;
create view film_search as
  select n.film_id, upper(n.title) as title, n.actors, v.copies
    from film_list n
    join (select i.film_id, count(*) as copies from inventory i group by i.film_id) v
      on v.film_id = n.film_id
   where n.rate < 10;
create view customer_rank as
  with spent as (
    select c.customer_id, c.store_id, sum(p.amount) as total
      from customer c join payment p on p.customer_id = c.customer_id
     group by c.customer_id
  )
  select s.customer_id, s.store_id, s.total,
         rank() over (partition by s.store_id order by s.total desc) as place
    from spent s;
create view actor_info as
  select a.actor_id, a.last_name,
         (select count(*) from film_actor fa where fa.actor_id = a.actor_id) as films,
         array(select f.title from film f
                where f.film_id in (select fa.film_id from film_actor fa where fa.actor_id = a.actor_id)
                order by f.film_id) as titles
    from actor a;
create view open_rentals as
  select r.rental_id, c.name, f.title from rental r, customer c, inventory i, film f
   where c.customer_id = r.customer_id and i.inventory_id = r.inventory_id and f.film_id = i.film_id
     and r.returned_at is null and (c.active or exists (
       select from payment p where p.rental_id = r.rental_id and p.amount > 3));
-- What cannot be followed.
create view overdue as select r.rental_id from rental r where r.returned_at is null and r.rented_at < now() - interval '3 days';
create view top_films as select f.film_id, f.title from film f order by f.length desc, f.film_id limit 5;
create view against_average as
  select f.film_id, f.length - (select avg(g.length) from film g) as longer from film f;
create view co_stars as
  select a.actor_id, b.actor_id as with_id, count(*) as films
    from film_actor a join film_actor b on b.film_id = a.film_id and b.actor_id > a.actor_id
   group by a.actor_id, b.actor_id;
create view by_rating as select f.rating, count(*) as films from film f group by f.rating;
