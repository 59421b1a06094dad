"""Measurements that only maintainers run, against a checkout: `python -m benchmarks.speed --help`, or the make targets.

speed          speed and memory beside their bars        make bench-speed
gateway        the gateway under load and with faults    make bench-gateway
exam           throughput of an exam                     make bench-exam
students       students beside their teacher             make bench-students
onnx_quality   what 8 bits and fewer tokens cost         make bench-engine
"""

from modelsat.environment import settle_threads

# As the command line does, before numpy or torch is imported.
settle_threads()
