"""What the handheld knows of the machine under it: position, modem, battery, storage, and the accessory."""
