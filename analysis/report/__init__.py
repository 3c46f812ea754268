"""The report: notebooks executed, what their cells showed, written as a page, tables or LaTeX."""
