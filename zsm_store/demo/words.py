"""Word lists of the generated tables: Dutch and English names, made-up streets."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN_NAMES = _words(
    """
    Jan Maria Johannes Anna Peter Emma Daan Sophie Thomas Julia Willem Johanna Hendrik
    Elisabeth Cornelis Mila David James Sara Lucas Olivia Pieter Laura Mohammed Fatima
    Robert Linda Michael Susan Kees Wilma Bram Lotte Finn Eva Sem Tess Noah Saar Levi
    Zoë Lars Nina Ruben Isa Jesse Fleur Thijs Roos Gijs Lieke Stijn Noor Joost Femke
    Maarten Sanne Bart Marieke Jeroen Esther Wouter Ingrid Erik Monique Frank Yvonne
    Dirk Petra Gerrit Tineke Harold Margaret George Dorothy Edward Florence Arthur Alice
    Rachid Samira Hassan Leila Mehmet Ayşe Chantal Désirée Björn Anouk Floris Mirthe
    Sietse Jildou Wietske Douwe Bauke Hylke Fenna Roelof Geertje Aaltje Berend Trijntje
    """
)

SURNAME_PREFIXES = ("", "", "", "", "van ", "de ", "van der ", "van de ")
SURNAME_STEMS = _words(
    """
    Berg Jong Bakker Visser Smit Meijer Bos Mulder Dijk Vries Brouwer Dekker Hoek Kok
    Linden Peters Hendriks Leeuwen Zwart Groot Koning Post Willems Vos Kuiper Prins Blom
    Huisman Veen Wal Schouten Beek Molen Haan Ruiter Steen Smith Jones Taylor Brown
    Walker Wright Hughes Turner Cooper Ward Yilmaz Nguyen Hassani Kowalski
    """
)
SURNAME_ENDINGS = ("", "", "", "", "man", "stra", "sma", "hof", "veld", "huis", "ink")

STREET_STEMS = _words(
    """
    Dorps Kerk School Molen Station Beatrix Wilhelmina Juliana Linden Eiken Beuken
    Kastanje Haven Markt Vecht Maas Rijn IJssel Rembrandt Vermeer Tulpen Rozen Merel
    Leeuwerik Zwaluw Noorder Zuider Ooster Wester Burgemeester Koningin Parallel
    """
)
STREET_ENDINGS = ("straat", "laan", "weg", "plein", "kade", "pad")

CITIES = (
    ("Amsterdam", 10),
    ("Rotterdam", 30),
    ("Den Haag", 25),
    ("Utrecht", 35),
    ("Eindhoven", 56),
    ("Groningen", 97),
    ("Tilburg", 50),
    ("Almere", 13),
    ("Breda", 48),
    ("Nijmegen", 65),
    ("Leeuwarden", 89),
    ("Middelburg", 43),
)
"""City and the first two digits of its postcodes, the largest city first."""

CARRIERS = (
    ("KPN", "08"),
    ("Vodafone", "04"),
    ("Odido", "16"),
    ("Lebara", "12"),
    ("Lycamobile", "09"),
)
"""Carrier and its mobile network code (after country code 204)."""

TARIFFS = ("prepaid", "sim only", "business", "family", "data only")
