"""The simulated market's typical figures: which words mean which sector, and levels no fact gives.

Chosen so that a screen looks like the market it imitates; none of them is a quote of anything.
"""

from __future__ import annotations

SECTORS = {
    "Automobile and Auto Components": "auto",
    "Capital Goods": "industry",
    "Construction": "industry",
    "Construction Materials": "industry",
    "Consumer Durables": "consumer",
    "Consumer Services": "consumer",
    "Fast Moving Consumer Goods": "staples",
    "Financial Services": "finance",
    "Healthcare": "health",
    "Information Technology": "software",
    "Metals & Mining": "metal",
    "Oil Gas & Consumable Fuels": "energy",
    "Power": "energy",
    "Services": "industry",
    "Telecommunication": "software",
}

WORDS = (
    (
        "finance",
        ("BANK", "FINANC", "FINSERV", "INSURANCE", "CAPITAL", "CREDIT", "FIN ", "HOUSING", "HOLDING"),
    ),
    ("health", ("PHARMA", "DRUG", "HEALTH", "HOSPITAL", "LABORATOR", "BIO", "MEDI", "LIFESCI")),
    ("software", ("TECH", "SOFTWARE", "INFO", "SYSTEM", "DIGITAL", "DATA", "COMMUNICATION", "TELE")),
    ("auto", ("AUTO", "MOTOR", "TYRE", "WHEEL", "VEHICLE", "BRAKE")),
    ("metal", ("STEEL", "METAL", "ALUMIN", "COPPER", "ZINC", "MINING", "ISPAT", "IRON")),
    ("energy", ("POWER", "ENERGY", "OIL", "GAS", "PETRO", "COAL", "SOLAR", "ELECTRIC")),
    ("staples", ("FOOD", "AGRO", "SUGAR", "TEA", "DAIRY", "BREW", "CONSUMER", "BEVERAGE")),
    ("consumer", ("RETAIL", "FASHION", "TEXTILE", "JEWEL", "HOTEL", "MEDIA", "TRAVEL", "PAINT")),
    ("property", ("REALTY", "ESTATE", "PROPERT", "DEVELOPER", "INFRA")),
)

INDEX_SECTORS = (
    ("finance", ("BANK", "FIN", "CAPITALMKT")),
    ("software", ("NIFTYIT", "BSEINFORMATION", "BSETECK", "FOCIT", "DIGITAL", "TELECOM", "ITTELCM")),
    ("health", ("PHARMA", "HEALTH", "HLTH")),
    ("auto", ("AUTO", "MOBILITY", "NIFTYEV")),
    ("metal", ("METAL", "COMDTY", "COMMODITIES")),
    ("energy", ("ENERGY", "POWER", "OIL", "UTIL", "POWENE")),
    ("staples", ("FMCG", "FASTMOVING")),
    ("consumer", ("CONSUM", "CONDIS", "CONSR", "MEDIA", "TOURISM")),
    ("property", ("REALTY", "HOUSING", "INFRA")),
    ("industry", ("CAPINS", "CAPITALGOODS", "INDUSTRIALS", "DEFENCE", "MFG")),
)

INDEX_LEVELS = {
    "INDIAVIX": 13.0,
    "NIFTY100": 25_000.0,
    "NIFTY200": 13_700.0,
    "NIFTY500": 22_800.0,
    "NIFTYAUTO": 26_000.0,
    "NIFTYENERGY": 35_000.0,
    "NIFTYFMCG": 53_000.0,
    "NIFTYINFRA": 9_300.0,
    "NIFTYIT": 34_000.0,
    "NIFTYMEDIA": 1_500.0,
    "NIFTYMETAL": 10_500.0,
    "NIFTYMIDCAP100": 58_000.0,
    "NIFTYPHARMA": 22_500.0,
    "NIFTYPSUBANK": 8_000.0,
    "NIFTYPVTBANK": 27_500.0,
    "NIFTYREALTY": 900.0,
    "NIFTYSMLCAP100": 18_000.0,
    "BSE100": 26_000.0,
    "BSE200": 11_400.0,
    "BSE500": 36_500.0,
    "BSEAUTO": 58_000.0,
    "BSEINFORMATIONTECHNOLOGY": 33_000.0,
}

COMMODITIES = (
    ("GOLD", "GOLD", "~bullion", 0.16, 6e10),
    ("SILVER", "SILVER", "~bullion", 0.30, 4e10),
    ("CRUDE", "CRUDE", "~fuel", 0.35, 2e10),
    ("NATURALGAS", "GAS", "~fuel", 0.60, 1e10),
    ("NATGAS", "GAS", "~fuel", 0.60, 1e10),
    ("COPPER", "COPPER", "~base", 0.22, 8e9),
    ("ZINC", "ZINC", "~base", 0.23, 6e9),
    ("ALUMIN", "ALUMINIUM", "~base", 0.20, 5e9),
    ("LEAD", "LEAD", "~base", 0.18, 2e9),
    ("NICKEL", "NICKEL", "~base", 0.30, 5e8),
)
"""First letters, the good (contracts of one good share a path), factor, volatility, rupees a day; first match."""

FUNDS: tuple[tuple[tuple[str, ...], tuple[str, float, str, float]], ...] = (
    (("LIQUID", "OVERNIGHT", "1D RATE"), ("", 0.002, "~rates", 0.5)),
    (("GILT", "GSEC", "G-SEC", "BOND", "SDL", "10YR"), ("", 0.03, "~rates", 0.9)),
    (("GOLD",), ("GOLD", 0.16, "~bullion", 0.85)),
    (("SILVER",), ("SILVER", 0.30, "~bullion", 0.85)),
)
"""Words in a fund's name, then its good ("" for its own path), volatility, factor, weight; first match."""
