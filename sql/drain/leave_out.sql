create or replace function publish.leave_out(
  aside publish.mark[],
  off publish.mark[],
  locked publish.mark[]
) returns void
language plpgsql
as $$
begin
  if cardinality(leave_out.aside) > 0 then
    perform publish.defer(marks => leave_out.aside, reason => 'aside', sqlstate => '57014',
                          message => 'waits because a drain did not get through with its kind');
  end if;
  if cardinality(leave_out.off) > 0 then
    perform publish.put_off(leave_out.off);
  end if;
  if cardinality(leave_out.locked) > 0 then
    perform publish.defer(marks => leave_out.locked, reason => 'locked');
  end if;
end
$$;
comment on function publish.leave_out(publish.mark[], publish.mark[], publish.mark[]) is
  'Defers the marks of a batch that this drain does not try, each as publish.hold says why.';
revoke all on function publish.leave_out(publish.mark[], publish.mark[], publish.mark[])
  from public;
