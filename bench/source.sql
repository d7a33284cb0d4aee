-- The source: an ordinary table joined to another by the published view, about 400 bytes a payload;
-- the same payloads ready-made for the payload kind; and a table indexed as publish.published is.
create schema bench;

create table bench.owner (
  id int primary key,
  name text not null,
  country text not null
);
create table bench.item (
  id bigint primary key,
  owner_id int not null references bench.owner,
  title text not null,
  body text not null,
  price numeric(10, 2) not null,
  tags text[] not null,
  live boolean not null default true,
  created_at timestamptz not null default now(),
  touched_at timestamptz not null default now()
);
create view bench.item_view as
  select i.id, i.title, i.body, i.price, i.tags, i.created_at, i.touched_at,
         o.name as owner_name, o.country as owner_country
    from bench.item i
    join bench.owner o on o.id = i.owner_id
   where i.live;

create table bench.message (
  id bigint primary key,
  payload jsonb not null
);

create table bench.bare (like publish.published including all);

create procedure bench.fill(items int)
language plpgsql
as $$
begin
  insert into bench.owner
  select n, 'Owner ' || n, (array['AT', 'BR', 'CA', 'DE', 'IN', 'NG'])[1 + n % 6]
    from generate_series(1, 500) as n;
  insert into bench.item (id, owner_id, title, body, price, tags)
  select n, 1 + n % 500, 'Item ' || n, repeat(md5(n::text), 4), n % 10000 / 100.0,
         array['tag' || n % 7, 'tag' || n % 31]
    from generate_series(1, items) as n;
  insert into bench.message
  select v.id, to_jsonb(v) from bench.item_view v;
  perform public.publish_define('item', 'bench.item_view', array['id']);
  perform public.publish_define('message');
end
$$;

-- Marks keys dirty in source transactions of 50 rows; whole transactions so fill every batch.
create procedure bench.mark(kind text, lo bigint, hi bigint)
language plpgsql
as $$
begin
  for v_from in mark.lo .. mark.hi by 50 loop
    if mark.kind = 'item' then
      insert into publish.outbox (kind, source_ids)
      select 'item', array[i.id::text]
        from bench.item i
       where i.id between v_from and least(v_from + 49, mark.hi)
       order by i.id;
    else
      perform public.publish_enqueue('message', m.id::text, m.payload)
         from bench.message m
        where m.id between v_from and least(v_from + 49, mark.hi)
        order by m.id;
    end if;
    commit;
  end loop;
end
$$;

-- Changes the source of both kinds, without marking anything.
create procedure bench.change(lo bigint, hi bigint)
language sql
as $$
  update bench.item set touched_at = clock_timestamp() where id between change.lo and change.hi;
  update bench.message set payload = payload || jsonb_build_object('touched_at', clock_timestamp())
   where id between change.lo and change.hi;
$$;
