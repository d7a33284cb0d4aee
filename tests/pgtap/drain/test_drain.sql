begin; select plan(1); select has_function($$publish_drain$$); select * from finish(); rollback;
