#!/usr/bin/env python3
"""Writes src/calendar/holidays.txt from the PyPI package `holidays` (MIT): pip install holidays==0.109

One line per country and holiday: country, tab, name, tab, days as yymmdd. Names lose "(observed)" and
"(estimated)", so that a holiday is one occasion however its day was found.
"""
import pathlib
import re

import holidays

COUNTRIES = {"US": None, "GB": "ENG", "DE": None, "FR": None, "IT": None, "ES": None, "BR": None, "IN": None,
             "CN": None, "JP": None}
YEARS = range(2015, 2041)


def days_by_name(country, subdivision):
    found = {}
    for language in ("en_US", None):
        try:
            calendar = holidays.country_holidays(country, subdiv=subdivision, years=YEARS, language=language)
            break
        except Exception:
            continue
    for day, names in sorted(calendar.items()):
        if day.year not in YEARS:
            continue
        for name in names.split("; "):
            name = re.sub(r" \((observed|estimated)\)", "", name).strip()
            if not name.startswith("Day off (substituted"):
                found.setdefault(name, set()).add(day.strftime("%y%m%d"))
    return found


def main():
    lines = [
        f"# Public holidays {YEARS[0]}-{YEARS[-1]}, made by scripts/public_holidays.py from holidays {holidays.__version__}",
        "# (https://pypi.org/project/holidays/), MIT licence, see holidays.LICENSE. GB is England.",
        "# Moving Indian holidays end with 2035, where the source ends. Islamic ones are estimates.",
    ]
    for country, subdivision in COUNTRIES.items():
        for name, days in sorted(days_by_name(country, subdivision).items()):
            lines.append(f"{country}\t{name}\t{' '.join(sorted(days))}")
    target = pathlib.Path(__file__).parent.parent / "src/calendar/holidays.txt"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
