-- Planned under the settings of its callers. Only published_pub_id_idx gives this order, however
-- small the table was when this was planned; "where p.pub_id = … and p.kind = …" may be planned
-- over all rows of the kind.
create or replace function publish.get(reading publish.reading, pub_id uuid)
returns setof publish.published
language plpgsql
stable
rows 1
as $$
begin
  return query
    select p.*
      from (
        select p.*
          from publish.published p
         where p.pub_id >= get.pub_id and p.pub_id <= get.pub_id
         order by p.pub_id, p.rev desc
         limit 1
      ) p
     where p.kind = any ((get.reading).kinds)
       and (p.kind = any ((get.reading).scoped)
            and p.scope is distinct from (get.reading).scope) is not true;
  if not found and cardinality((get.reading).scoped) > 0 then
    return query
      select t.*
        from (
          select d.*
            from publish.departed d
           where (d.pub_id, d.scope) >= (get.pub_id, (get.reading).scope)
             and (d.pub_id, d.scope) <= (get.pub_id, (get.reading).scope)
           order by d.pub_id, d.scope
           limit 1
        ) d
       cross join lateral publish.tombstone(d) t
       where d.kind = any ((get.reading).scoped);
  end if;
end
$$;
comment on function publish.get(publish.reading, uuid) is
  'What this reading of one kind shows under a pub_id: a row, or none.';
revoke all on function publish.get(publish.reading, uuid) from public;
