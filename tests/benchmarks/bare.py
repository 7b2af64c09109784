"""The least that a receiver can be: a Flask view that inserts one row and pushes one message to Redis."""

import os
from datetime import UTC, datetime

import redis
import sqlalchemy as sa
from flask import Flask, request

tables = sa.MetaData()
received = sa.Table(
    "received",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

app = Flask(__name__)
engine = sa.create_engine(os.environ["BARE_DATABASE_URL"])
broker = redis.Redis.from_url(os.environ["BARE_REDIS_URL"])

if engine.dialect.name == "sqlite":  # as the product has it, or the floor would be no floor

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: object, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
        connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]


@app.post("/webhooks/kommo/<_token>")
def take(_token: str) -> tuple[str, int]:
    with engine.begin() as connection:
        row = {"at": datetime.now(UTC), "body": request.get_data()}
        row_id = connection.execute(sa.insert(received).values(row)).inserted_primary_key
    broker.lpush("bare", str(row_id))
    return "", 200


@app.get("/readyz")
def ready() -> tuple[str, int]:
    return "", 200
