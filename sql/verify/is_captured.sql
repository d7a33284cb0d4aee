create or replace function publish.is_captured(kind text, source regclass) returns boolean
language sql
stable
as $$
  select exists (
           select from publish.capture c
            where c.kind = is_captured.kind
              and is_captured.source in (
                select d.relid
                  from publish.with_descendants(publish.captured_table(c.capture_id)) as d (relid)))
      or exists (
           select from pg_trigger t
             join pg_proc p on p.oid = t.tgfoid
            where t.tgrelid = is_captured.source and not t.tgisinternal
              and t.tgenabled in ('O', 'A')
              and case when p.oid = 'public.publish_enqueue()'::regprocedure
                       then t.tgtype & 1 = 1 -- for each row; of a TRUNCATE alone it marks nothing
                            and position(convert_to(is_captured.kind, getdatabaseencoding())
                                         || decode('00', 'hex') in t.tgargs) = 1
                       else strpos(p.prosrc, 'publish_enqueue') > 0 end)
$$;
comment on function publish.is_captured(text, regclass) is
  'Whether writes to the table mark keys of the kind: it is captured, is a part of what is, or has '
  'a trigger that was attached by hand.';
revoke all on function publish.is_captured(text, regclass) from public;
