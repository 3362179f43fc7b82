"""A whole GoClaw Nodes on one machine: PostgreSQL, kernels, gateways and nginx.

`make run` and the system tests both start it through here, so that the tests prove the way people take.
Python's standard library only.
"""
