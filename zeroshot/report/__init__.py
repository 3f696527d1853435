"""The report of a run: one HTML page without a network, with charts, tables, example images and the origin of every number.

Open sections.py first: a section of the page is a function there. page.py puts them together; the other files compute what they show.
"""
