"""The stages of ZSI, in order: make_shapes, prepare, embed, train_detector, detect, cut_detector, dump_regions,
detect_regions, evaluate, summarise, pictures, pack."""
