"""Three hosts on one machine, each a network namespace with PostgreSQL under Patroni, etcd, a gateway and a kernel.

`scripts/lab` runs it, and `make lab-test` breaks it. Python's standard library only.
"""
