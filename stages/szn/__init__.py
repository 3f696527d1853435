"""The stages of SZN, in order: split, embed, train_embedding, cut_head, dump, calibrate, train_seenmask, evaluate, pack, pictures."""
