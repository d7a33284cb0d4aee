-- The drain's position: which transactions are drained, and where the next rows are.
begin;
select plan(15);

select is(publish.next_xid('7'), '8'::xid8, 'the next transaction id');
select is(publish.next_xid('4294967295'), '4294967296'::xid8, 'goes over 32 bits');

-- undrained(drained, partial_xid, partial_seq, seen, own)
create function pg_temp.ranges(
  drained text, partial_xid text, partial_seq bigint, seen text, own text
) returns text language sql as $$
  select string_agg(format('%s/%s..%s', u.lo, u.after, u.hi), ' ' order by u.lo)
    from publish.undrained(drained::pg_snapshot, partial_xid::xid8, partial_seq, seen::pg_snapshot,
                           own::xid8) u
$$;
select is(pg_temp.ranges('10:10:', null, null, '10:10:', null), null, 'nothing new: no range');
select is(pg_temp.ranges('10:10:', null, null, '20:20:', null), '10/-1..20',
          'all that ended since: one range');
select is(pg_temp.ranges('10:10:', null, null, '15:20:15', null), '10/-1..15 16/-1..20',
          'an open transaction is stepped over');
select is(pg_temp.ranges('8:10:8', null, null, '20:20:', null), '8/-1..9 10/-1..20',
          'a straggler that ended is a range of its own');
select is(pg_temp.ranges('8:10:8', null, null, '8:20:8', null), '10/-1..20',
          'one that is still open is not');
select is(pg_temp.ranges('10:10:', '12', 7, '20:20:', null), '10/-1..12 12/7..13 13/-1..20',
          'a transaction drained in part goes on after its last row');
select is(pg_temp.ranges('10:10:', null, null, '15:20:15', '15'), '10/-1..15 15/-1..16 16/-1..20',
          'our own transaction counts as visible');

-- drained_after(drained, seen, cut, own)
select is(publish.drained_after('10:10:', '20:20:', '20', null)::text, '20:20:',
          'everything seen is drained');
select is(publish.drained_after('10:10:', '20:20:', '15', null)::text, '15:15:',
          'up to the cut');
select is(publish.drained_after('10:10:', '12:20:12', '20', null)::text, '12:20:12',
          'an open transaction is not');
select is(publish.drained_after('8:10:8', '20:20:', '20', null)::text, '20:20:',
          'a straggler that ended is');
select is(publish.drained_after('10:10:', '15:20:15', '20', '15')::text, '15:20:15',
          'our own never is: it may enqueue more');
select is(publish.drained_after('15:20:15', '20:25:', '25', '15')::text, '15:25:15',
          'nor in a later drain, though no snapshot of ours lists it');

select * from finish();
rollback;
