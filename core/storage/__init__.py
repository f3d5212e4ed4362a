"""The store: the authoritative record of every photo, in SQLite or MySQL, with one set of tables and statements."""
