"""Zero-shot segmentation: classes that were never annotated are segmented from their names.

Rooms, from the ground up: base; images, words; datasets; networks, cache; evaluation; one room a system; experiments; commands.
Imports go down only. A file of stages/ shows how a room is used; start with stages/train_gmmn.py.
"""
