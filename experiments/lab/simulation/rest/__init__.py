"""Part A in the simulation: HTTP between the services, and its faults; it must not import another part's."""
