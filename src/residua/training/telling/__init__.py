"""What people are told: in a terminal, a log, a card, a page."""
