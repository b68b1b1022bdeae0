"""The campus food-ordering domain, and what every service of the lab shares. It knows no transport."""
