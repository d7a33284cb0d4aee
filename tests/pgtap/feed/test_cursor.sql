-- The cursor of publish_page: what is written is read back, and nothing else is.
begin;
select plan(16);

select is(publish.format_cursor('00112233-4455-6677-8899-aabbccddeeff', 7, 5, null),
          '1.00112233445566778899aabbccddeeff.7.5', 'format, epoch, base, since');
select is(publish.format_cursor(null, 0, 0, null), '1.0.0.0', 'before the first epoch');
select is(publish.format_cursor(null, 7, 5, '00c0ffee'), '1.0.7.5.00c0ffee', 'with rights');
select results_eq($$select c.base, c.since, c.rights from publish.parse_cursor('1.0.7.5.00c0ffee') c$$,
                  $$values (7::bigint, 5::bigint, '00c0ffee')$$, 'read back, too');
select results_eq(
  $$select c.epoch, c.base, c.since
      from publish.parse_cursor('1.00112233445566778899aabbccddeeff.7.5') c$$,
  $$values ('00112233-4455-6677-8899-aabbccddeeff'::uuid, 7::bigint, 5::bigint)$$, 'read back');
select results_eq($$select c.epoch, c.base, c.since from publish.parse_cursor('1.0.0.0') c$$,
                  $$values (null::uuid, 0::bigint, 0::bigint)$$, 'without an epoch');
select results_eq($$select c.epoch, c.base, c.since from publish.parse_cursor(null) c$$,
                  $$values (null::uuid, null::bigint, 0::bigint)$$, 'null is the beginning');
select results_eq($$select c.epoch, c.base, c.since from publish.parse_cursor('42') c$$,
                  $$values (null::uuid, null::bigint, 42::bigint)$$, 'a number is a rev');

select throws_ok(format('select publish.parse_cursor(%L)', c.cursor), 'PT400', null, c.cursor)
  from (values ('x'), ('-1'), ('2.0.0.0'), ('1.0.0.-1'), ('1.0.0.0.0'), ('1.0.0.0.00C0FFEE'), (' 1.0.0.0'),
               ('9999999999999999999')) as c (cursor);

select * from finish();
rollback;
