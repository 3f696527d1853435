"""The report of a run: one HTML page without a network, with charts, tables, example images and the origin of every number.

Open score_sections.py first: a section of the page is a function in one of the files *_sections.py, and commands/report.py has their order.
page.py makes the page; the other files compute or draw what it shows.
"""
