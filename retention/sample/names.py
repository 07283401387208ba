"""Made-up names of places and people, put together from parts so that 400 of them do not repeat."""

from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words("""
    Amelie Bruno Carla Daan Eva Felix Greta Hugo Iris Jonas Klara Leon Mila Noah Olivia Petra Quentin
    Rosa Stefan Thea Ulrich Vera Wim Yara Zoe Anton Beatrix Caspar Dagmar Emil Fiona Gustav Hanna Ivo
    Judith Karel Livia Marek Nora Oskar Paula Rik Selma Tobias Ursula Viktor Wanda Xaver Yves Zita Adele
    Benno Cosima Dirk Esther Falk Giulia Hannes Ilse Jasper Katja Luca Magda Niels Odile Philippe Renate
    Sven Tilda Urs
""")
LAST = _words("""
    Albrecht Bakker Claes Dietz Eriksen Fabbri Gruber Hoekstra Iversen Jansson Kessler Lambert Moretti
    Nyberg Olsen Peeters Quist Rossi Schreiber Teunis Ulmer Visser Winkler Ysebaert Zeller Arendt
    Bianchi Christensen Dekker Engel Fontaine Graf Hansen Imhof Jacobsen Kovac Leclerc Marchetti Nowak
    Oberholzer Petersen Riedl Santoro Thomsen Urban Verbeek Wagenaar Zimmer Aalto Brunner Colombo Duval
    Ebner Franke Girard Holmberg
""")
PLACES = {
    "North": (
        (
            "Germany",
            "EUR",
            ("Alsterufer", "Elbmarsch", "Nordhafen", "Heidekrug", "Ostsee", "Weserbogen", "Deichtor"),
        ),
        (
            "Netherlands",
            "EUR",
            ("Kanaalzicht", "Duinrand", "Havenkwartier", "Polderhof", "Zuidas", "Waterlinie"),
        ),
    ),
    "Centre": (
        (
            "Germany",
            "EUR",
            ("Mainblick", "Taunus", "Rheinaue", "Spessart", "Neckartal", "Lahnhof", "Domplatz"),
        ),
        ("Belgium", "EUR", ("Molenbeek", "Ardennes", "Kasteelpark", "Leiebocht", "Meir", "Sambre")),
    ),
    "South": (
        ("Austria", "EUR", ("Salzach", "Donaukai", "Karwendel", "Seewinkel", "Innbogen", "Wienerwald")),
        ("Italy", "EUR", ("Adige", "Laghetto", "Portico", "San Vigilio", "Belvedere", "Via Verde")),
        ("Switzerland", "CHF", ("Limmat", "Rigi", "Seefeld", "Engadin", "Aarehof", "Lindenhof")),
    ),
}
PATTERNS = {
    "Hotels": (
        "Hotel {place}",
        "{place} Hotel",
        "Gasthof {word}",
        "{word} Residence",
        "Pension {word}",
        "{word} Lodge",
    ),
    "Restaurants": (
        "Restaurant {word}",
        "{word} Kitchen",
        "Bistro {word}",
        "Trattoria {word}",
        "Taverne {place}",
        "{word} & {last}",
    ),
    "Cafes": (
        "Cafe {word}",
        "{word} Coffee House",
        "Bakery {last}",
        "{place} Roastery Bar",
        "{word} Tea Room",
    ),
    "Schools and care": (
        "{place} School Kitchen",
        "Care Home {word}",
        "{word} Day Nursery",
        "{place} Clinic Catering",
        "Campus {place}",
    ),
    "Offices": (
        "{last} Engineering",
        "{word} Works",
        "{last} & {other} Partners",
        "{place} Business Centre",
        "{word} Logistics",
    ),
}
WORDS = _words("""
    Amber Linden Falcon Juniper Copper Harbour Willow Lantern Meadow Saffron Quarry Heron Maple Anchor
    Olive Granite Clover Compass Thistle Beacon Chestnut Orchard Riverside Sundial Walnut Cobalt Larch
    Marigold Tamarind Bellflower Northgate Millstone Evergreen Kestrel Rosehip Driftwood Silverbirch
    Foxglove Hazel Ironbridge Mulberry Pebble Skylark Terrace Velvet Wren Alpenrose Bergamot Cinnamon
    Dovetail
""")
TITLES = {
    "decision_maker": ("Owner", "General manager", "Head of purchasing", "Managing director"),
    "champion": ("Head chef", "Kitchen manager", "Operations manager", "Food and beverage manager"),
    "billing": ("Accountant", "Office manager"),
    "user": ("Sous chef", "Shift lead", "Storekeeper"),
    "blocker": ("Controller",),
}


class Namer:
    """Hands out names that were not used before."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def account(self, segment: str, places: tuple[str, ...]) -> str:
        while True:
            rng = self._rng
            last, other = rng.sample(LAST, 2)
            name = rng.choice(PATTERNS[segment]).format(
                place=rng.choice(places), word=rng.choice(WORDS), last=last, other=other
            )
            if name not in self._taken:
                self._taken.add(name)
                return name


def person_name(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def address(name: str, business: str) -> str:
    """An e-mail address below a top-level name that can never exist."""
    host = "".join(letter for letter in business.lower() if letter.isascii() and letter.isalnum())
    return f"{name.lower().replace(' ', '.')}@{host}.example"
