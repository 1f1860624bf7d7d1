"""Mix new rows and rehearsal rows in a given ratio."""
