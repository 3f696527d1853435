<<<<<<< HEAD
"""The stages of SZN, in the order of szn/dvc.yaml: split, embed, train_embedding, cut_head, dump, train_seenmask, evaluate, pictures."""
=======
"""The stages of SZN, in the order of szn/dvc.yaml: from `split` and `embed` over the networks, the mask and evaluation to `pictures`."""
>>>>>>> a9ecd5a4f736b500f97e3f7180be0ed99a4e8826
