"""The stages of SZN, in the order of szn/dvc.yaml: from `split` and `embed` over the networks, the mask and evaluation to `pictures`."""
