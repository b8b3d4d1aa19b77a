"""perf_analyzer against the ensemble and each of its steps: scenario -> arguments -> run -> parse -> report."""
