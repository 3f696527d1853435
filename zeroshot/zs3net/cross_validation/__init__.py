"""Zero-shot cross-validation: held-out seen classes act as unseen, so that choices need no label of an unseen class (paper section 3.1).

Start with `calibration.calibrate`, which chooses the seen bias of a classifier. `folds` chooses the classes and images of each fold,
`fold_models` trains ZS3Net in a fold, and `self_training_folds` trains ZS5Net in a fold.
"""
