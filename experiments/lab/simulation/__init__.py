"""A part's services over a network in memory and a virtual clock; it may import services, and must not start any."""
