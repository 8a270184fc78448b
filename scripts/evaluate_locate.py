#!/usr/bin/env python3
"""How well `tidewatch locate` finds the labelled causes of the RobustSpot cases, beside two plain ways.

  evaluate_locate.py DATA PROGRAM OUT.md

DATA holds caseN_*.csv.gz and causes.yaml. Exact: the set of slices is the labelled one. F1 is over attribute=value pairs,
all cases pooled. Largest deviation: the conjunction whose numerator is furthest above its expected value. Adtributor
(Bhagwan et al., NSDI 2014): the dimension with the highest surprise, the values that explain 67 % of it, each at
least 10 %; it names values of one dimension only. Both use the plain rate of each cell's earlier rows. Needs pandas.
"""
import itertools, json, os, subprocess, sys, time

import numpy as np
import pandas as pd

DATA, PROGRAM, OUT = sys.argv[1:4]
DIMENSIONS = ("cdn", "bitrate", "device", "p2p")


def labelled():
    case = {}
    for line in open(f"{DATA}/causes.yaml"):
        key, _, value = line.strip().removeprefix("- ").partition(":")
        case[key] = value.strip()
        if key == "cause":
            causes = eval(case["cause"])  # a map or a list of maps; the file is ours
            causes = causes if isinstance(causes, list) else [causes]
            truth = frozenset(frozenset((k, str(v)) for k, v in cause.items()) for cause in causes)
            yield case["data"], int(case["timestamp"]), truth


def tidewatch(path, at, dimensions):
    out = f"{OUT}.json"
    subprocess.run(
        [PROGRAM, "locate", path, "--timestamp", "min", "--at", str(at), "--ratio", "value/cnt"]
        + ["--dimensions", ",".join(dimensions), "--json", out],
        check=True, stdout=subprocess.DEVNULL,
    )
    explanations = json.load(open(out))[0]["explanations"]
    return [frozenset(frozenset(slice.items()) for slice in one["slices"]) for one in explanations]


def cells(rows, at, dimensions):
    past = rows[rows["min"] < at].groupby(dimensions)[["value", "cnt"]].sum()
    now = rows[rows["min"] == at].groupby(dimensions)[["value", "cnt"]].sum()
    rate = past.value.sum() / past.cnt.sum()
    rates = (past.value / past.cnt).reindex(now.index).fillna(rate)
    return now.assign(expected=now.cnt * rates).reset_index()


def largest_deviation(rows, at, dimensions):
    now = cells(rows, at, dimensions)
    found = []
    for count in (1, 2, 3):
        for some in itertools.combinations(dimensions, count):
            for values, part in now.groupby(list(some))[["value", "expected"]].sum().iterrows():
                values = values if isinstance(values, tuple) else (values,)
                found.append((part.value - part.expected, frozenset([frozenset(zip(some, values))])))
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found]


def adtributor(rows, at, dimensions):
    now = cells(rows, at, dimensions)
    actual, expected = now.value.sum(), now.expected.sum()
    found = []
    for dimension in dimensions:
        parts = now.groupby(dimension)[["value", "expected"]].sum()
        p, q = parts.expected / expected, parts.value / actual
        half = (p + q) / 2
        surprise = 0.5 * (p * np.log((p / half).where(p > 0, 1)) + q * np.log((q / half).where(q > 0, 1)))
        explained = (parts.value - parts.expected) / (actual - expected)
        chosen, sum_explained, sum_surprise = [], 0.0, 0.0
        for value in surprise.sort_values(ascending=False).index:
            if explained[value] > 0.10:
                chosen.append(value)
                sum_explained += explained[value]
                sum_surprise += surprise[value]
            if sum_explained > 0.67:
                break
        if sum_explained > 0.67:
            found.append((sum_surprise, frozenset(frozenset([(dimension, value)]) for value in chosen)))
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found]


def judge(name, method, cases):
    first = three = common = told = wanted = 0
    start = time.perf_counter()
    for data, at, truth, rows, dimensions in cases:
        answers = method(f"{DATA}/{data}.csv.gz" if method is tidewatch else rows, at, dimensions)[:3]
        first += truth in answers[:1]
        three += truth in answers
        best = frozenset().union(*answers[0]) if answers else frozenset()
        right = frozenset().union(*truth)
        common, told, wanted = common + len(best & right), told + len(best), wanted + len(right)
    millis = 1000 * (time.perf_counter() - start) / len(cases)
    f1 = 2 * common / (told + wanted)
    return f"| {name} | {first / len(cases):.2f} | {three / len(cases):.2f} | {f1:.2f} | {millis:.0f} ms |"


def main():
    cases = []
    for data, at, truth in labelled():
        rows = pd.read_csv(f"{DATA}/{data}.csv.gz")
        dimensions = [one for one in DIMENSIONS if one in rows]
        rows[dimensions] = rows[dimensions].astype(str)
        cases.append((data, at, truth, rows, dimensions))
    table = [
        f"| {len(cases)} cases | Exact, first answer | Exact, first three | F1 over attributes | Time per case |",
        "|---|---|---|---|---|",
        judge("**tidewatch locate** (a process each)", tidewatch, cases),
        judge("Adtributor", adtributor, cases),
        judge("largest deviation", largest_deviation, cases),
    ]
    os.remove(f"{OUT}.json")
    open(OUT, "w").write("\n".join(table) + "\n")
    print("\n".join(table))


main()
