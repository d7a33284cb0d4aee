-- What other schemas of the manner of an airline's showed: keys of char(n), names that need quotes,
-- joins by expressions, other schemas, functions that return sets.
create schema air;
create table air.airport (code char(3) primary key, name jsonb not null, zone text not null);
create table air."Craft Type" ("Code" char(4) primary key, "Model ""Name""" text, "select" int);
create table air.flight (
  flight_id int generated always as identity primary key, flight_no char(6) not null,
  departs timestamptz not null, source char(3) not null references air.airport,
  target char(3) not null references air.airport,
  craft char(4) not null references air."Craft Type" ("Code"), status text);
create table air.seat (
  craft char(4) not null references air."Craft Type" ("Code"), seat_no varchar(4) not null,
  class text not null, primary key (craft, seat_no));
create table air.pass (
  ticket_no char(13) not null, flight_id int not null references air.flight,
  seat_no varchar(4) not null, passenger text, price numeric(8, 2),
  primary key (ticket_no, flight_id));
create table air.cargo (box_no int primary key, flight_id int, note text, tags text[]);
create table air.rule (rule_no int primary key, seats int, status text, code text);
create index on air.flight (source); create index on air.flight (target);
create index on air.flight (craft); create index on air.pass (flight_id);
create function air.lang() returns text language sql stable as
  $$select current_setting('air.lang', true)$$;

create view flights as
  select f.flight_id, f.flight_no, timezone(s.zone, f.departs) as local, s.name ->> 'en' as source,
         t.name ->> 'en' as target
    from air.flight f, air.airport s, air.airport t where f.source = s.code and f.target = t.code;
create view seat_map as
  select c."Code", s.class, string_agg(s.seat_no, ',' order by s.seat_no) as seats
    from air."Craft Type" c join air.seat s on s.craft = c."Code" group by c."Code", s.class;
create view "Craft ""List""" as
  select c."Code" as "the code", c."Model ""Name""", c."select",
         (select count(*) from air.seat s where s.craft = c."Code") as "Seats #"
    from air."Craft Type" c;
create view passes as
  select p.ticket_no, p.flight_id, p.passenger, s.class, length(p.passenger) as letters
    from air.pass p join air.flight f using (flight_id)
    left join air.seat s on s.craft = f.craft and s.seat_no = p.seat_no;
create view load as
  select f.flight_id, count(p.ticket_no) as boarded, sum(p.price) as income,
         (select count(*) from air.seat s where s.craft = f.craft) as seats
    from air.flight f left join air.pass p using (flight_id) group by f.flight_id;
create view routes as
  select f.flight_no, f.source, f.target, array_agg(distinct to_char(f.departs, 'ID')) as days
    from air.flight f group by f.flight_no, f.source, f.target;
create view shown_rules as
  select f.flight_id, r.code, c.note from air.flight f
    join air.rule r on r.rule_no = length(f.flight_no) - 4
    left join air.cargo c on c.box_no = coalesce(f.flight_id, 0) + 1;
create view by_status as
  select f.status, count(*) as flights from air.flight f where f.status > 'a' group by f.status;
create view moved as
  select m.what, m.id, f.status, a.zone
    from (select 'box' as what, c.box_no as id, c.flight_id from air.cargo c
           union all
          (select 'rule', r.rule_no, r.rule_no from air.rule r
            union all select 'flight', p.flight_id, p.flight_id from air.flight p)) m
    left join air.flight f on f.flight_id = m.flight_id
    left join air.airport a on a.code = f.source;
create view carried as
  select f.flight_id, array_agg(distinct r.code order by r.code) filter (where r.code > '') as codes
    from air.flight f
    left join (select p.flight_id, p.flight_id % 4 as rule_no from air.pass p
                union select c.flight_id, c.box_no from air.cargo c) h on h.flight_id = f.flight_id
    left join air.rule r on r.rule_no = h.rule_no group by f.flight_id;
create view first_in_status as
  select f.flight_id, f.status,
         row_number() over (partition by f.status order by f.departs, f.flight_id) as place
    from air.flight f where f.status is not null;
create view airports as select a.code, a.name ->> air.lang() as name from air.airport a;
create view tags as
  select c.box_no, t.tag from air.cargo c cross join lateral unnest(c.tags) as t (tag);
create view tags_shown as select c.box_no, unnest(c.tags) as tag from air.cargo c;
create view stored as select a.code, a.xmin from air.airport a;
create view mine as select c.box_no from air.cargo c where c.note = current_user;
create view free_seats as
  select f.flight_id, s.seat_no from air.flight f join air.seat s on s.craft = f.craft
   where not exists (select from air.pass p where p.flight_id = f.flight_id
                                              and p.seat_no = s.seat_no);
create view statuses as select f.status, count(*) as flights from air.flight f group by f.status;
create view models as
  select c."Model ""Name""" as model, count(*) as seats
    from air."Craft Type" c join air.seat s on s.craft = c."Code" group by c."Code";

insert into air.airport
  select 'P' || n, jsonb_build_object('en', 'port ' || n), (array['UTC', 'Asia/Tokyo'])[1 + n % 2]
    from generate_series(1, 8) n;
insert into air."Craft Type" select 'C' || n, 'model ' || n, n from generate_series(1, 5) n;
insert into air.flight (flight_no, departs, source, target, craft, status)
  select 'F' || repeat('0', n % 4) || n % 7, '2024-01-01'::timestamptz + n * interval '7 hours',
         'P' || 1 + n % 8, 'P' || 1 + (n + 3) % 8, 'C' || 1 + n % 5,
         (array['on time', 'late', null])[1 + n % 3] from generate_series(1, 20) n;
insert into air.seat
  select 'C' || 1 + n % 5, n % 4 || 'A', (array['a', 'b'])[1 + n % 2] from generate_series(1, 18) n;
insert into air.pass
  select 'T' || 1000 + n, 1 + n % 20, n % 4 || 'A', 'name ' || n, n
    from generate_series(1, 30) n;
insert into air.cargo select n, 1 + n % 20, 'note ' || n, array['x', 'y' || n]
  from generate_series(1, 12) n;
insert into air.rule select n, n, 'late', 'r' || n from generate_series(1, 5) n;
