-- As GetDefaultOpClass() and the parser resolve it: the type itself, what it is a domain over, the
-- polymorphic class of its kind, or a type that it can be taken for without a conversion.
create or replace function publish.key_operator(type oid, strategy int) returns text
language plpgsql
stable
as $$
declare
  v_type pg_type;
  v_class pg_opclass;
begin
  select t.* into v_type from pg_type t where t.oid = key_operator.type;
  while v_type.typtype = 'd' loop
    select t.* into v_type from pg_type t where t.oid = v_type.typbasetype;
  end loop;
  select c.* into v_class
    from pg_opclass c
   where c.opcmethod = 403 and c.opcdefault
     and (c.opcintype = v_type.oid
          or c.opcintype::regtype::text
             = case v_type.typtype when 'e' then 'anyenum' when 'r' then 'anyrange'
                                   when 'm' then 'anymultirange' end
          or c.opcintype in (select i.casttarget
                               from pg_cast i
                              where i.castsource = v_type.oid and i.castmethod = 'b'
                                and i.castcontext = 'i'))
   order by c.opcintype = v_type.oid desc, c.opcintype = 'text'::regtype desc
   limit 1;
  return (
    select format('operator(%I.%s)', n.nspname, o.oprname)
      from pg_amop a
      join pg_operator o on o.oid = a.amopopr
      join pg_namespace n on n.oid = o.oprnamespace
     where a.amopfamily = v_class.opcfamily and a.amoplefttype = v_class.opcintype
       and a.amoprighttype = v_class.opcintype and a.amopstrategy = key_operator.strategy);
end
$$;
comment on function publish.key_operator(oid, int) is
  'The operator of a type''s default btree class, as SQL: strategy 1 <, 2 <=, 3 =, 4 >=, 5 >. Null '
  'when the type has none. Qualified, so that the search_path decides nothing: a citext compares '
  'as citext and not as the text that pg_catalog would take it for.';
revoke all on function publish.key_operator(oid, int) from public;
