"""Xero's official description (../shared/spec, where it is there; it is not ours to carry along) as a judge of what went over the wire.

exchanges     what the sandbox kept of a call
description   what the description says against it
differences   where the sandbox answers otherwise than described, and why; docs/sandbox-differences.md is made of it
plugin        holds every exchange of a test run to all of this
"""
