"""The store: the truth about every photo, in SQLite or MySQL, behind one set of tables and statements."""
