"""The handset's decisions: a command or event goes in, effects come out. Pure and synchronous."""
