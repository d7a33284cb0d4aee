-- The stored rule of a view says of each result column that is a plain column where it comes from
-- (resorigtbl and resorigcol of its target list); nothing in the catalog's tables does.
create or replace function publish.column_origin(
  view regclass,
  name text,
  out source regclass,
  out source_name text
)
language plpgsql
stable
as $$
declare
  v_number int;
  v_origin text[];
begin
  column_origin.source := column_origin.view;
  column_origin.source_name := column_origin.name;
  loop
    exit when (select c.relkind not in ('v', 'm')
                 from pg_class c where c.oid = column_origin.source);
    select a.attnum into v_number
      from pg_attribute a
     where a.attrelid = column_origin.source and a.attname = column_origin.source_name;
    -- Braces nest nodes: the rule's query is at depth 1, its own target list at depth 2.
    select regexp_match(d.part, ':resorigtbl ([0-9]+) :resorigcol ([0-9]+)') into v_origin
      from (
        select p.match[1] as part,
               coalesce(sum(case p.match[2] when '{' then 1 when '}' then -1 else 0 end)
                          over (order by p.n rows between unbounded preceding
                                                      and 1 preceding), 0) as depth
          from pg_rewrite r
         cross join lateral regexp_matches(
           r.ev_action::text, e'((?:\\\\.|[^{}\\\\])*)([{}]|$)', 'g')
           with ordinality as p (match, n)
         where r.ev_class = column_origin.source and r.ev_type = '1'
      ) d
     where d.depth = 2 and d.part ~ format(':resno %s :resname ', v_number);
    if v_origin is null or v_origin[1] = '0' then
      column_origin.source := null;
      column_origin.source_name := null;
      exit;
    end if;
    select v_origin[1]::oid::regclass, a.attname
      into column_origin.source, column_origin.source_name
      from pg_attribute a
     where a.attrelid = v_origin[1]::oid and a.attnum = v_origin[2]::int;
  end loop;
end
$$;
comment on function publish.column_origin(regclass, text) is
  'The table and column that a view''s column shows, through nested views; nulls for an '
  'expression.';
revoke all on function publish.column_origin(regclass, text) from public;
