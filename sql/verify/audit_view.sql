-- The gate lets go of the tables when it ends, so that nobody waits for a session that waits here.
create or replace function publish.audit_view(kind text)
returns table (object text, problem text, hint text)
language plpgsql
as $$
declare
  v_view text := (select k.view from publish.kind k where k.kind = audit_view.kind);
  -- Not to_regclass(), which raises where the schema may not be used.
  v_relation regclass := (
    select c.oid
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where format('%I.%I', n.nspname, c.relname) = v_view
  );
  v_detail text;
  v_hint text;
begin
  loop
    begin
      return query
        select a.object, a.problem, a.hint from publish.audit_key(audit_view.kind) a
        union all
        select a.object, a.problem, a.hint from publish.audit_tables(audit_view.kind) a
        union all
        select v_view, v.problem, v.hint from publish.varying(v_relation) v
        union all
        select v_view, m.problem, m.hint
          from publish.mixing(v_relation) m
         where not publish.marks_groups(audit_view.kind);
      return;
    exception
      when lock_not_available then
        if clock_timestamp() > statement_timestamp() + interval '5 seconds' then
          return query
            select v_view, 'a table that it reads is locked, so it was not looked at',
                   coalesce((select 'End it: ' || string_agg(distinct l.fix, '; ')
                               from publish.lockers() l
                              where l.mode = 'AccessExclusiveLock'
                                and l.relation in (select r.relid
                                                     from publish.view_reads(v_relation) r)),
                            'Run the audit again when that transaction has ended.');
          return;
        end if;
        perform pg_sleep(0.1);
      when others then
        if publish.is_transient(sqlstate) then
          raise;
        end if;
        get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
        return query
          select v_view, concat_ws(': ', sqlerrm, nullif(v_detail, '')),
                 coalesce(case when sqlstate = '42501'
                               then coalesce(publish.access_hint(v_relation),
                                             'Let the owner of the view read all that it reads.')
                          end, nullif(v_hint, ''),
                          'Restore the view, or define the kind over another.');
        return;
    end;
  end loop;
end
$$;
comment on function publish.audit_view(text) is
  'Problems of a projected kind''s view: it or its key is missing, publish_projector may not read '
  'it, no index serves the key, or what it reads is not captured. Waits while a table that it '
  'reads is being replaced, until an audit has taken 5 seconds.';
revoke all on function publish.audit_view(text) from public;
