#!/usr/bin/env python3
"""Turns the output of blocks (page block workload seconds, several runs of it one after the other) into a table.

Each figure is the median over the runs, divided by the smallest one of its column: 1.00 is the best.
"""
import statistics
import sys
from collections import defaultdict

runs = defaultdict(list)
for line in open(sys.argv[1]):
    page, block, what, value = line.split()
    runs[int(page), int(block), what].append(float(value))
median = {key: statistics.median(values) for key, values in runs.items()}
columns = list(dict.fromkeys(what for _, _, what in median))
best = {what: min(value for key, value in median.items() if key[2] == what) for what in columns}

print("| page | block | " + " | ".join(columns) + " |")
print("|---" * (len(columns) + 2) + "|")
for page, block in dict.fromkeys(key[:2] for key in median):
    cells = [f"{median[page, block, what] / best[what]:.2f}" for what in columns]
    print(f"| {page // 1024}K | {block // 1024}K | " + " | ".join(cells) + " |")
