"""A benchmark's result as a report: words, tables, plots and one page.

    results.BenchmarkResult -> findings, views, plots -> report_directory

Knows no outcome and no router: everything it says, it computes from the result's tables.
"""
