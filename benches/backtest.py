#!/usr/bin/env python3
"""Backtests of ready-made series from Parquet: time and memory, beside a Python analyst's usual way, in one run.

  backtest.py PROGRAM WORK [--quick]

Writes WORK/<points>.parquet (seeded: 1,000 series, a value every ten minutes, 1, 5 and 10 million points in all, zstd), runs
`PROGRAM backtest` over each with one thread and with two, and over all but the last only with one. Then, in this process, what
a notebook does: pandas reads the file; statsmodels decomposes each series (STL with a daily season) and marks
residuals beyond 4 robust deviations, once with robust weights and once without. It does so for a sample of the series, and the
time is scaled to all of them.
Prints a table in Markdown. Needs numpy, pandas, pyarrow and statsmodels.
"""
import json, os, resource, subprocess, sys, time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PROGRAM, WORK = sys.argv[1:3]
QUICK = "--quick" in sys.argv
SERIES = 100 if QUICK else 1_000
SIZES = [100_000] if QUICK else [1_000_000, 5_000_000, 10_000_000]
SAMPLE = 5
PER_DAY = 144
START = 1_772_409_600_000  # 2026-03-02T00:00:00Z, a Monday
CONFIG = """
[sources.data]
kind = "file"
path = "points.parquet"
[monitors.shop]
source = "data"
timestamp = "timestamp"
interval = "10m"
dimensions = { series = "series" }
[monitors.shop.measures]
value = { total = "value" }
"""


def make(points):
    """Rows in order of time, all series in each; a season of a day and a week, noise, and a fault here and there."""
    path = f"{WORK}/{points}.parquet"
    if os.path.exists(path):
        return path
    random = np.random.default_rng(20267)
    windows = points // SERIES
    level = random.lognormal(5, 1, SERIES)
    phase = random.uniform(-0.5, 0.5, SERIES)
    names = pa.array([f"store-{index:04}" for index in range(SERIES)])
    schema = pa.schema([("timestamp", pa.timestamp("ms", tz="UTC")), ("series", pa.string()), ("value", pa.float64())])
    with pq.ParquetWriter(path + ".part", schema, compression="zstd") as writer:
        for first in range(0, windows, 200):
            window = np.arange(first, min(first + 200, windows))
            day = 2 * np.pi * window[:, None] / PER_DAY + phase
            week = 1 + 0.2 * np.cos(2 * np.pi * window[:, None] / (7 * PER_DAY))
            mean = level * week * (1 + 0.5 * np.sin(day)) + 5
            mean = np.where(random.random(mean.shape) < 2e-4, mean * 3, mean)
            values = random.poisson(mean).astype(float)
            times = np.repeat(START + window * 600_000, SERIES)
            writer.write_table(pa.table(
                [pa.array(times, schema.field(0).type), pa.array(np.tile(names, len(window))), pa.array(values.ravel())],
                schema=schema))
    os.rename(path + ".part", path)
    return path


def peak_kib(process):
    try:
        lines = open(f"/proc/{process}/status").read().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def run(path, threads):
    """Seconds, processor seconds, and the most memory of a backtest in MiB; and its summary."""
    found = f"{WORK}/found.json"
    command = [PROGRAM, "backtest", "--config", f"{WORK}/config.toml", "--monitor", "shop", "--threads", str(threads),
               "--json", found, path]
    started = time.time()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory, ended = 0, 0
    while not ended:
        # What wait4 tells of memory would be this process's own, from before the exec.
        memory = max(memory, peak_kib(child.pid))
        time.sleep(0.02)
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    seconds = time.time() - started
    if status != 0:
        sys.exit(f"the backtest of {path} failed")
    summary = json.load(open(found))["summary"]
    return seconds, usage.ru_utime + usage.ru_stime, memory / 1024, summary


def notebook(path, robust):
    """Seconds to read the file, and for one series; and the most memory in MiB."""
    from statsmodels.tsa.seasonal import STL

    started = time.time()
    rows = pd.read_parquet(path)
    table = rows.pivot(index="timestamp", columns="series", values="value")
    read = time.time() - started
    sample = 2 if robust else SAMPLE
    chosen = table.columns[:: len(table.columns) // sample][:sample]
    started, alarms = time.time(), 0
    for name in chosen:
        residual = STL(table[name], period=PER_DAY, robust=robust).fit().resid
        spread = 1.4826 * (residual - residual.median()).abs().median()
        alarms += int((residual.abs() > 4 * spread).sum())
    each = (time.time() - started) / len(chosen)
    return sample, read, each, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    os.makedirs(WORK, exist_ok=True)
    open(f"{WORK}/config.toml", "w").write(CONFIG)
    print("| Points | Way | Time | Points a second | Processor | Memory at most |")
    print("|---|---|---|---|---|---|")
    for points in SIZES:
        path = make(points)
        size = os.path.getsize(path) / 2**20
        for threads in (1, 2) if points == SIZES[-1] else (1,):
            seconds, processor, memory, summary = run(path, threads)
            if summary["counted"] != points or summary["scored"] == 0:
                sys.exit(f"not every point was counted, or none scored: {summary}")
            word = "thread" if threads == 1 else "threads"
            print(f"| {points / 1e6:g} million ({size:.0f} MiB) | **Tidewatch**, {threads} {word} | {seconds:.1f} s | "
                  f"{points / seconds:,.0f} | {processor:.1f} s | {memory:.0f} MiB |", flush=True)
    for robust in (False, True):
        sample, read, each, memory = notebook(path, robust)
        seconds = read + each * SERIES
        print(f"| {points / 1e6:g} million | pandas and statsmodels' STL{', robust' if robust else ''}; {sample} series, scaled | "
              f"{seconds:,.0f} s ({read:.1f} s to read, {each:.2f} s a series) | {points / seconds:,.0f} | | {memory:,.0f} MiB |",
              flush=True)


main()
