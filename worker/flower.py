"""Flower's settings, which it reads from this file (the Procfile's line `flower`): it only looks, and is reached from this machine only.

They stand here and not in its environment, where it would take a comma in the password for the end of one password and the beginning of another.
What stands in FLOWER_… variables is overruled, but for what is not named here.
"""

import sys

from worker.settings import SettingsError, load

try:
    _settings = load(needs={"flower"})
except SettingsError as fault:
    sys.exit(str(fault))

assert _settings.admin_password is not None
basic_auth = [f"operator:{_settings.admin_password.get_secret_value()}"]
read_only = True
address = "127.0.0.1"
port = _settings.flower_port
# What a ring is about instead of its uuid.
tasks_columns = "name,args,state,received,runtime,worker"
