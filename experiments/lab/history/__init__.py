"""Records a run and reads it again; it must not import analysis, faults or anything above them."""
