"""The tests' own servers: real, empty, and never somebody else's."""

import psycopg
import pytest
import redis as redis_py
import sqlalchemy

from tests import servers


def test_a_database_is_empty_and_takes_tables(database_url):
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as session:
        session.execute(sqlalchemy.text("CREATE TABLE leads (id INTEGER PRIMARY KEY)"))
        assert sqlalchemy.inspect(session).get_table_names() == ["leads"]
    engine.dispose()


def test_the_redis_of_a_test_is_empty(redis):
    assert redis.dbsize() == 0


def test_a_redis_that_holds_something_is_refused(redis, redis_url):
    redis.set("orders", 1)
    with pytest.raises(servers.Refused, match="1 keys"):
        servers.refuse_used_redis(redis_url)


def test_a_database_that_holds_something_is_refused(postgres_url):
    with psycopg.connect(servers.plain(postgres_url), autocommit=True) as session:
        session.execute("CREATE DATABASE shop")
    shop = postgres_url.replace("/test?", "/shop?")
    servers.refuse_used_database(shop)
    with psycopg.connect(servers.plain(shop), autocommit=True) as session:
        session.execute("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(servers.Refused, match="1 tables"):
        servers.refuse_used_database(shop)


def test_a_stopped_redis_comes_back_with_what_it_held(children, tmp_path):
    server = servers.own_redis(children, tmp_path / "redis", appendonly=True)
    server.start()
    with redis_py.Redis.from_url(server.url) as client:
        client.set("lead", 7)
        server.stop()
        with pytest.raises(redis_py.ConnectionError):
            client.ping()
        server.start()
        assert client.get("lead") == b"7"
    server.stop()
