"""Zero-shot cross-validation: held-out seen classes act as unseen, so that choices need no label of an unseen class (paper section 3.1).

Start with `calibration.calibrate`, which chooses the seen bias of a classifier. `folds` chooses the classes and images of each fold.
What a method trains in a fold is in fold_training/.
"""
