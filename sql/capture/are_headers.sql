-- Text, as one number of 10 bytes may be 130,000 digits to a reader.
create or replace function publish.are_headers(headers jsonb) returns boolean
language sql
immutable
as $$
  select case when jsonb_typeof(are_headers.headers) = 'object'
              then octet_length(are_headers.headers::text) <= 16384
                   and not jsonb_path_exists(are_headers.headers, 'strict $.**{17}')
              else are_headers.headers is null end
$$;
comment on function publish.are_headers(jsonb) is
  'Whether this can travel as headers: null, or an object of at most 16 kB and 16 levels.';
revoke all on function publish.are_headers(jsonb) from public;
