"""The stages of SZN in the order of szn/dvc.yaml: split, embed, train_embedding, cut_head, dump, train_seenmask, evaluate, pack, pictures."""
