-- As one drain, under its lock: each key moves to a rev of its own under the new name. Triggers and
-- transactions under way go on with the old name, which publish.hold and publish.next_walk know.
create or replace function public.publish_rename(kind text, new_name text) returns int
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind publish.kind := publish.check_kind(publish_rename.kind);
  v_state publish.drain;
  v_moved int;
begin
  perform publish.check_read_committed('publish_rename', 'the drain''s lock');
  if coalesce(octet_length(publish_rename.new_name), 0) not between 1 and 200
     or publish_rename.new_name = '*'
     or exists (select from publish.kind k
                 where k.kind = publish_rename.new_name
                    or publish_rename.new_name = any (k.former) and k.kind <> v_kind.kind) then
    raise exception 'this name is taken, is *, or is not 1 to 200 bytes of text' using
      errcode = 'PT400',
      detail = format('kind %L, new_name %L', v_kind.kind, left(publish_rename.new_name, 60)),
      hint = 'Choose a short name that no kind has or had.';
  end if;
  if not publish.try_writer_lock() then
    raise exception 'a drain is running' using
      errcode = 'PT423',
      detail = format('kind %L', v_kind.kind),
      hint = 'Try again; stop the drain if it never pauses.';
  end if;
  v_state := publish.begin_drain();
  update publish.kind k
     set kind = publish_rename.new_name, updated_at = clock_timestamp(),
         former = array_append(array_remove(k.former, publish_rename.new_name), v_kind.kind)
   where k.kind_no = v_kind.kind_no;
  perform publish.move_kind(v_kind.kind, publish_rename.new_name), publish.renew_captures();
  update publish.published p
     set rev = v_state.head + o.n, kind = publish_rename.new_name, updated_at = clock_timestamp()
    from (select q.rev, row_number() over (order by q.rev) as n
            from publish.published q
           where q.kind = v_kind.kind) o
   where p.rev = o.rev;
  get diagnostics v_moved = row_count;
  if v_moved > 0 then
    v_state.head := v_state.head + v_moved;
    v_state.scanned := 0;
    v_state.keys := v_moved;
    v_state.published := v_moved;
    v_state.unchanged := 0;
    v_state.quarantined := 0;
    v_state.lag := interval '0';
    perform publish.end_drain(v_state, clock_timestamp());
    perform pg_notify('publish', v_state.head::text);
  end if;
  return v_moved;
end
$$;
comment on function public.publish_rename(text, text) is
  'Gives a kind another name, and returns how many keys that publishes again under it, with their '
  'pub_ids, tombstones too. Captures, settings and subscriptions that name it go on with the new '
  'name; publish_enqueue takes the old one as well, until a kind of that name is defined. Readers '
  'that ask for the old name must ask for the new one. The drain waits. Errors: PT404 '
  'kind not defined, PT400 the name is taken or not READ COMMITTED, PT423 a drain runs.';
revoke all on function public.publish_rename(text, text) from public;
grant execute on function public.publish_rename(text, text) to publish_admin;
