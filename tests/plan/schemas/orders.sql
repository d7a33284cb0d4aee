-- An order desk: composite keys, a partitioned table, uuid and text keys, a domain.
create domain sku as varchar(12) check (value <> '');
create table customer (customer_no text primary key, name text not null, vip boolean not null default false);
create table product (sku sku primary key, name text not null, parent sku references product, price numeric(8, 2) not null);
create index on product (parent);
create table orders (
  order_id uuid not null, placed_at timestamptz not null, customer_no text not null references customer,
  status text not null default 'new', region int not null, primary key (order_id, region)
) partition by list (region);
create table orders_1 partition of orders for values in (1, 2);
create table orders_0 partition of orders default;
create index on orders (customer_no);
create table order_line (
  order_id uuid not null, region int not null, line_no int not null, sku sku not null references product,
  quantity int not null, primary key (order_id, region, line_no),
  foreign key (order_id, region) references orders on delete cascade
);
create index on order_line (sku);
create table shipment (
  shipment_id bigint primary key, order_id uuid, region int, line_no int, shipped_on date,
  foreign key (order_id, region, line_no) references order_line on delete cascade
);
create index on shipment (order_id, region, line_no);
create table shipment_event (event_id bigint primary key, shipment_id bigint not null references shipment on delete cascade, note text);
create index on shipment_event (shipment_id);
create table stock (warehouse int, sku sku references product, quantity int not null, primary key (warehouse, sku));
create index on stock (sku);
create table price (sku sku references product, valid_from date, price numeric(8, 2) not null, primary key (sku, valid_from));
create table blocked (customer_no text primary key, reason text);
create table setting (name text primary key, value int);

insert into customer select 'C' || n, 'customer ' || n, n % 3 = 0 from generate_series(1, 8) n;
insert into product select ('P' || n)::sku, 'product ' || n, ('P' || nullif(n / 3, 0))::sku, n from generate_series(1, 12) n;
insert into orders select md5(n::text)::uuid, '2026-01-15'::timestamptz + n * interval '5 days', 'C' || 1 + n % 7, (array['new', 'paid', 'sent'])[1 + n % 3], n % 4 from generate_series(1, 16) n;
insert into order_line select o.order_id, o.region, l, ('P' || 1 + (ascii(o.order_id::text) + l) % 12)::sku, l from orders o, generate_series(1, 2) l;
insert into shipment select row_number() over (order by l.order_id, l.line_no), l.order_id, l.region, l.line_no, date '2026-03-01' from order_line l where l.quantity = 1;
insert into shipment_event select n, 1 + n % 14, 'note ' || n from generate_series(1, 20) n;
insert into stock select w, ('P' || n)::sku, n * w from generate_series(1, 2) w, generate_series(1, 10) n;
insert into price select ('P' || n)::sku, date '2026-01-01' + m * 30, n + m from generate_series(1, 9) n, generate_series(0, 1) m;
insert into blocked values ('C2', 'no'), ('C9', null);
insert into setting values ('minimum', 5);

create view order_summary as
  select o.order_id, o.region, o.status, c.name as customer, s.lines, s.amount
    from orders o join customer c on c.customer_no = o.customer_no
    left join (select l.order_id, l.region, count(*) as lines, sum(l.quantity * p.price) as amount
                 from order_line l join product p on p.sku = l.sku group by l.order_id, l.region) s
      on s.order_id = o.order_id and s.region = o.region;
create view line_state as
  select l.order_id, l.region, l.line_no, p.name, g.name as "group", count(s.shipment_id) as shipments,
         (select string_agg(e.note, '; ' order by e.event_id) from shipment_event e join shipment t on t.shipment_id = e.shipment_id
           where t.order_id = l.order_id and t.region = l.region and t.line_no = l.line_no) as notes
    from order_line l join product p on p.sku = l.sku left join product g on g.sku = p.parent
    left join shipment s on (s.order_id, s.region, s.line_no) = (l.order_id, l.region, l.line_no)
   group by l.order_id, l.region, l.line_no, p.sku, g.sku;
create view low_stock as
  select p.sku, p.name, sum(s.quantity) as left_over from product p join stock s on s.sku = p.sku
   group by p.sku having sum(s.quantity) < 20;
create view events as
  select 'order'::text as what, o.order_id::text as id, o.region as part, o.status as info from orders o
  union all
  select 'shipment'::text, s.shipment_id::text, s.region, s.shipped_on::text from shipment s where s.region is not null;
create view monthly as
  select date_trunc('month', o.placed_at) as month, count(distinct o.order_id) as orders, sum(l.quantity) as quantity
    from orders o left join order_line l on l.order_id = o.order_id and l.region = o.region
   group by date_trunc('month', o.placed_at);
create view without_orders as
  select c.customer_no, c.name from customer c where c.customer_no not in (select o.customer_no from orders o);
create view not_blocked as
  select c.customer_no, c.name, b.reason from customer c left join blocked b on b.customer_no = c.customer_no
   where b.customer_no is null or b.reason is null;
create view priced as
  select p.sku, p.name, coalesce(x.price, p.price) as price
    from product p left join lateral (select r.price from price r where r.sku = p.sku order by r.valid_from desc limit 1) x on true;
create view price_steps as
  select r.sku, r.valid_from, r.price, lag(r.price) over (partition by r.sku order by r.valid_from) as before from price r;
create view families as
  select p.sku, array(select c.sku::text from product c where c.parent = p.sku order by c.sku) as children,
         (select count(*) from order_line l where l.sku in (select c.sku from product c where c.parent = p.sku)) as lines
    from product p where p.parent is null or p.sku in (select k.parent from product k);
create view both_stocked as
  select s.sku from stock s where s.warehouse = 1 intersect select s.sku from stock s where s.warehouse = 2;
create view vip_orders as
  select o.* from order_summary o
   where exists (select from orders q join customer c on c.customer_no = q.customer_no
                  where q.order_id = o.order_id and q.region = o.region and c.vip);
create view customer_products as
  select o.customer_no, l.sku, sum(l.quantity) as quantity,
         exists (select from price r where r.sku = l.sku) as has_price
    from orders o join order_line l on l.order_id = o.order_id and l.region = o.region
   group by o.customer_no, l.sku;
-- What cannot be followed.
create view over_minimum as
  select p.sku from product p cross join setting s where s.name = 'minimum' and p.price > s.value;
create view rollup as
  select o.region, o.status, count(*) as orders from orders o group by rollup (o.region, o.status);
create view not_in_nullable as
  select p.sku from product p where p.sku not in (select c.parent from product c);
create view random_products as select p.sku, random() as r from product p;
create view sampled as select p.sku from product p tablesample bernoulli (50);
