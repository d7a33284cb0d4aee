def test_an_empty_outbox_drains_to_nothing(db):
    assert db.execute("select * from publish_drain()").fetchone() == (0, 0, 0, 0, 0, 0, False)
