"""The stages of SZN (szn/dvc.yaml), one short script per stage."""
