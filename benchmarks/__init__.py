"""Benchmarks: this server and its peers under the same load, in the same run.

``python -m benchmarks --help`` says how; docs/performance.md says what came out.
"""
