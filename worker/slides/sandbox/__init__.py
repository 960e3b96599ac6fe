"""A slide is parsed in a process of its own that can reach nothing but that slide; start at reader.py."""
