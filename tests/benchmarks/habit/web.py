"""The receiver: a view that queues a task for each deal that came to the stage."""

import os
import re

from flask import Flask, request

from tests.benchmarks.habit.tasks import invoice_deal

STATUS = re.compile(r"leads\[status\]\[(\d+)\]\[id\]")

app = Flask(__name__)


@app.post("/webhooks/kommo")
def kommo() -> tuple[str, int]:
    for key, lead_id in request.form.items():
        found = STATUS.fullmatch(key)
        if found and request.form.get(f"leads[status][{found[1]}][status_id]") == os.environ["HABIT_STAGE"]:
            invoice_deal.delay(int(lead_id))
    return "", 200
