"""Zero-shot cross-validation: held-out seen classes act as unseen, so that choices need no label of an unseen class (paper section 3.1).

Start with `calibration.calibrate`, which chooses the seen bias of a classifier. `folds` chooses the classes and images of each fold.
What ZS3Net and ZS5Net train in a fold is in zs3net/fold_training/, what SZN does in szn/.
"""
