-- Takes the hash of a token, not a role: a server that has no token of an operator can do nothing
-- here, and who signs JSON Web Tokens cannot become one.
create or replace function public.publish_serve_operate(hash bytea, action text, name text)
returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_reader record;
begin
  select c.* into v_reader from public.publish_token_check(publish_serve_operate.hash) c;
  if (publish_serve_operate.action
      = any (publish.serve_actions(v_reader.role, v_reader.scope))) is not true then
    raise exception 'this token may not do this' using
      errcode = 'PT403',
      detail = format('role %L, action %L', v_reader.role, left(publish_serve_operate.action, 60)),
      hint = 'Use a token of a role that may call the function of this action.';
  end if;
  case publish_serve_operate.action
    when 'pause' then
      perform public.publish_pause(publish_serve_operate.name);
    when 'resume' then
      perform public.publish_resume(publish_serve_operate.name);
    when 'retry job' then
      perform public.publish_job_retry(publish_serve_operate.name);
    when 'retry keys' then
      return public.publish_retry(coalesce(publish_serve_operate.name, ''), null::text);
    when 'redrive' then
      return (select r.redriven
                from public.publish_redrive(subscription => publish_serve_operate.name,
                                            pub_id => null, class => null, batch => 10000,
                                            after => null) r);
  end case;
  return 1;
end
$$;
comment on function public.publish_serve_operate(bytea, text, text) is
  'Does what a button of the page of pgpublish serve says, for who has the token. hash: '
  'SHA-256 of it. action: pause, resume or redrive a subscription, retry job (its id), retry keys '
  '(of a kind). Returns how many; a redrive takes 10,000 dead letters at a time. Errors: PT401 the '
  'token is not known, PT403 its role may not call the function, or reads some kinds or one scope '
  'only; those of the function.';
revoke all on function public.publish_serve_operate(bytea, text, text) from public;
grant execute on function public.publish_serve_operate(bytea, text, text)
  to publish_server, publish_admin;
