"""Tables and parameters that the tests of the command write into files."""

from __future__ import annotations

from typing import Any

PEOPLE = """\
first_name,birth_date,city
Anna,1980-06-15,Utrecht
Jan,1975-01-02,
Anna,1991-12-31,Breda
"""
PEOPLE_WITH_STREET = """\
street,city,first_name,birth_date
Kerkstraat,Utrecht,Anna,1980-06-15
Dorpsstraat,,Jan,1975-01-02
Kerkstraat,,Anna,1991-12-31
"""
CARDS = "msisdn,imsi\n31612345678,204081234567890\n"
PARAMS: dict[str, Any] = {
    "m": [[0.02, 0.18, 0.8], [0.05, 0.15, 0.8], [0.1, 0.1, 0.8]],
    "u": [[0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.6, 0.2, 0.2]],
    "log_prior_odds": -2.0,
    "upper_threshold": 0.9,
    "lower_threshold": 0.1,
}
