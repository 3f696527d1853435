"""Zero-shot cross-validation: seen classes are held out and play unseen, so that choices need no unseen label (paper section 3.1).

Start with `calibration.calibrate`, which chooses the seen bias of a classifier. `folds` says which classes and images a fold has,
`fold_models` trains ZS3Net in one, and `self_training_folds` carries it on to ZS5Net.
"""
