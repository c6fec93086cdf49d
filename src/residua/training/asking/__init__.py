"""What was asked for: settings by name, from flags and files."""
