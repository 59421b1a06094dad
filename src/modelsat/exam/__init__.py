"""The exam on live endpoints: ask, read, grade, journal."""
