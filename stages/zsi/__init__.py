"""The stages of ZSI, in order: make_shapes, prepare, embed, train_detector, detect, evaluate, summarise, pictures."""
