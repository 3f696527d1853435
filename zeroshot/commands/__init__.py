"""The command `zeroshot`: one file for each sub-command, with a function `main` that has typed arguments and prints.

Open __main__.py first: it lists the sub-commands; a new one needs a file here and an entry there.
"""
