"""The command `zeroshot`: one file a sub-command, each a function with typed arguments that prints.

Open __main__.py first: a new sub-command is a file here and a line there.
"""
