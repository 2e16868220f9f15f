"""Measures of the service on the machine at hand, beside others on the same database.

``python -m benchmarks`` runs them. A workload is a row in :mod:`benchmarks.workloads`, a server to
compare with a row in :mod:`benchmarks.peers`.
"""
