"""The collector's handset: what it decides (`core`) and, around that, its store, uplink, printer and screens."""
