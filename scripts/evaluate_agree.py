#!/usr/bin/env python3
"""Our scorers against the reference ones, on the same scores: every figure to four digits, or this fails.

  evaluate_agree.py DATA PROGRAM WORK

DATA is the folder of developer data with eval/event_table.py and eval/eval_kpi.py beside it; WORK/<detector>/<set> holds scores.
Events: `judge --json` and event_table.py at severities 60, 70 and 80, over wsd, aiops and ms. Points: `judge --points --json`
and eval_kpi.py, over ms, where its volumes take seconds. Needs numpy and pandas.
"""
import json, math, os, subprocess, sys

DATA, PROGRAM, WORK = sys.argv[1:4]
EVAL = os.path.join(DATA, "..", "eval")
LEVELS = ["60", "70", "80"]
compared, wrong = 0, []


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")


def compare(what, ours, theirs, names):
    global compared
    for name in names:
        a, b = ours[name], theirs[name]
        a, b = (math.nan if x is None else float(x) for x in (a, b))
        compared += 1
        if not (math.isnan(a) and math.isnan(b)) and not abs(a - b) < 5e-5:
            wrong.append(f"{what}: {name} is {a:.6f} here and {b:.6f} there")


def events(detector, group):
    scores, out = f"{WORK}/{detector}/{group}", f"{WORK}/agree"
    levels = [x for level in LEVELS for x in ("--at", level)]
    run([PROGRAM, "judge", scores, "--labels", f"{DATA}/{group}", *levels, "--json", out + ".ours"])
    run([sys.executable, f"{EVAL}/event_table.py", f"{DATA}/{group}", scores, "--at", *LEVELS, "--json", out + ".theirs"])
    for ours, theirs in zip(json.load(open(out + ".ours")), json.load(open(out + ".theirs"))):
        names = ("segments", "weeks", "recall", "precision", "f1", "fa_week", "worst_fa_week", "busy", "delay", "clean_fa_week")
        compare(f"{detector} on {group} at {ours['at']:g}", ours, theirs, names)


def points(detector, group):
    scores, out = f"{WORK}/{detector}/{group}", f"{WORK}/agree"
    run([PROGRAM, "judge", scores, "--labels", f"{DATA}/{group}", "--points", "--json", out + ".ours"])
    run([sys.executable, f"{EVAL}/eval_kpi.py", f"{DATA}/{group}", "--scores", scores, "--score-col", "severity", "--threshold",
         "70", "--eval-from", "0.5", "--merge", "3", "--vus", "20", "--quiet", "--json", out + ".theirs"])
    theirs = {row["series"]: row for row in json.load(open(out + ".theirs"))["rows"]}
    for ours in json.load(open(out + ".ours")):
        names = ("auc_pr", "vus_pr", "f1k_best", "ev_f1_fix", "rp_fix", "rr_fix")
        compare(f"{detector} on {ours['series']}", ours, theirs[ours["series"]], names)


for detector in ("seasonal", "ewma"):
    for group in ("wsd", "aiops", "ms"):
        events(detector, group)
    points(detector, "ms")
for line in wrong:
    print(line, file=sys.stderr)
if wrong:
    sys.exit(f"{len(wrong)} of {compared} figures disagree with the reference scorers")
print(f"all {compared} figures agree with the reference scorers to four digits")
