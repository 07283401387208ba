"""What Tidewell sells: series of products, in packs as a kitchen orders them. Names are generic on purpose."""

from decimal import Decimal

from retention.sample.records import ProductRecord

# series -> (product, list price in EUR today)
SERIES: dict[str, tuple[tuple[str, str], ...]] = {
    "Coffee and tea": (
        ("House espresso, 6 x 1 kg", "94.80"),
        ("Filter roast, 8 x 500 g", "61.20"),
        ("Decaf beans, 4 x 1 kg", "72.40"),
        ("Breakfast tea, 600 bags", "38.50"),
        ("Herbal tea assortment, 300 bags", "33.90"),
        ("Cane sugar sachets, 1,000", "18.60"),
    ),
    "Dairy and eggs": (
        ("Whole milk, 12 x 1 l", "13.80"),
        ("Oat drink barista, 12 x 1 l", "22.50"),
        ("Butter portions, 200 x 10 g", "24.90"),
        ("Free-range eggs, tray of 180", "41.40"),
        ("Cooking cream, 12 x 1 l", "39.60"),
        ("Grated hard cheese, 5 x 1 kg", "58.00"),
    ),
    "Dry goods": (
        ("Pasta penne, 4 x 5 kg", "31.20"),
        ("Basmati rice, 20 kg", "36.80"),
        ("Wheat flour, 25 kg", "19.90"),
        ("Peeled tomatoes, 6 x 2.5 kg", "27.60"),
        ("Rapeseed oil, 10 l", "24.40"),
        ("Breakfast cereal, 4 x 1.5 kg", "29.50"),
    ),
    "Frozen": (
        ("Potato wedges, 4 x 2.5 kg", "26.80"),
        ("Garden peas, 4 x 2.5 kg", "21.90"),
        ("Salmon portions, 5 kg", "89.50"),
        ("Vegetable soup base, 6 x 1.5 kg", "34.20"),
        ("Butter croissants, 80 pieces", "42.60"),
        ("Berry mix, 4 x 2.5 kg", "47.30"),
    ),
    "Drinks": (
        ("Still water, 24 x 0.5 l", "9.80"),
        ("Orange juice, 12 x 1 l", "25.40"),
        ("Apple spritzer, 24 x 0.33 l", "21.60"),
        ("Tonic, 24 x 0.2 l", "26.90"),
    ),
    "Hygiene": (
        ("Dishwasher tabs, 200", "44.70"),
        ("Surface cleaner, 4 x 5 l", "37.80"),
        ("Paper towels, 20 x 150", "32.10"),
        ("Nitrile gloves, 10 x 100", "49.00"),
    ),
    "Tableware": (
        ("Stacking glasses, 48", "69.00"),
        ("Dinner plates, 24", "112.00"),
        ("Paper napkins, 4,000", "35.70"),
        ("Take-away cups, 1,000", "57.40"),
    ),
}
MARGIN = Decimal("0.27")


def make_products() -> list[ProductRecord]:
    """The catalogue at today's prices; cost is what the usual margin leaves."""
    products: list[ProductRecord] = []
    for series, items in SERIES.items():
        for name, price in items:
            unit_price = Decimal(price)
            unit_cost = (unit_price * (1 - MARGIN)).quantize(Decimal("0.01"))
            key = f"TW-{len(products) + 101}"
            products.append(ProductRecord(key, name, series, unit_price, unit_cost))
    return products
