"""The two label ids that mean the same in every data set."""

BACKGROUND = 0
IGNORE_INDEX = 255
