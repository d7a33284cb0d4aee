-- Two names are near if they share most of their letters and pairs of neighbours, in any
-- case: flim and film, custmer and customer. Names of over 60 characters are cut.
create or replace function publish.near(name text, names text[]) returns text
language sql
stable
as $$
  with word as (
    select distinct w.name, w.name = near.name as is_wanted, left(lower(w.name), 60) as text
      from unnest(near.name || near.names) as w (name)
     where w.name <> ''
  ),
  part as (
    select w.name, w.is_wanted, w.text, p.part,
           row_number() over (partition by w.name, p.part) as n
      from word w
     cross join lateral generate_series(0, length(w.text)) as i (i)
     cross join lateral (values (substr(w.text, i.i, 1)),
                                (substr(' ' || w.text || ' ', i.i + 1, 2))) as p (part)
     where p.part <> ''
  ),
  scored as (
    select o.name,
           2.0 * count(w.part) / (count(*) + (select count(*) from part p where p.is_wanted))
             as likeness,
           bool_or(least(length(o.text), length(v.text)) > 2
                   and (position(o.text in v.text) > 0 or position(v.text in o.text) > 0)) as has_it
      from part o
     cross join (select v.text from word v where v.is_wanted) v
      left join part w on w.is_wanted and (w.part, w.n) = (o.part, o.n)
     where not o.is_wanted
     group by o.name
  )
  select coalesce('Did you mean '
                  || string_agg(quote_literal(s.name), ' or ' order by s.likeness desc, s.name)
                  || '? ', '')
    from (
      select c.name, c.likeness
        from scored c
       where c.likeness > 0.55 or c.has_it
       order by c.likeness desc, c.name
       limit 3
    ) s
$$;
comment on function publish.near(text, text[]) is
  'The beginning of a hint, with those of names that are like a name that is not there, the '
  'nearest first, at most three; empty if none is.';
revoke all on function publish.near(text, text[]) from public;
