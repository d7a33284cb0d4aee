create or replace function public.publish_audit(kind text default null)
returns table (of_kind text, object text, problem text, hint text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if publish_audit.kind is not null then
    perform publish.check_kind(publish_audit.kind);
  end if;
  return query
    select k.kind, a.object, a.problem, a.hint
      from publish.kind k
     cross join lateral publish.audit_kind(k.kind) a
     where k.kind = coalesce(publish_audit.kind, k.kind)
    union all
    select a.kind, a.object, a.problem, a.hint
      from publish.audit_captures() a
     where a.kind = coalesce(publish_audit.kind, a.kind)
    union all
    select null, a.object, a.problem, a.hint
      from (select r.* from publish.audit_rights() r
            union all
            select o.* from publish.audit_roles() o
            union all
            select n.* from publish.audit_names() n
            union all
            select s.object, s.problem, s.hint from publish.audit_storage() s
             where s.fix is null) a
     where publish_audit.kind is null
     order by 1, 2, 3;
end
$$;
comment on function public.publish_audit(text) is
  'What keeps a kind, or any kind, from being published as its view says: one row for each '
  'problem, with what to do about it; none when all is well. '
  'Views and lookups: missing, not readable by publish_projector, or under row security. '
  'Tables and columns: read by a view, but not captured. '
  'Triggers: missing, disabled or replaced; missing on a partition; not ALWAYS on a replicated '
  'table. '
  'The installation, without a kind: owners and rights that differ from what was installed, '
  'row security, triggers and rules on its tables, tables that are unlogged, '
  'roles of ours that may more than that, '
  'functions of others with our names, and CREATE on schema public for everybody. '
  'Rows that are not alike, or that depend on other keys: what of the view makes them so. '
  'Keys and lookups: served by no index. Walks: failing. Validators: missing. '
  'Not found: what a view reads through functions without a parsed body. '
  'Errors: PT404 kind not defined.';
revoke all on function public.publish_audit(text) from public;
grant execute on function public.publish_audit(text) to publish_worker, publish_admin;
