"""Measuring routers: metrics, evaluation on held-out outcomes, speed."""
