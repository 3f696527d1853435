"""A folder of images and masks as people have it, turned into a data set in VOC's layout with a parameter file that runs.

Start with `prepare.make`. `folder` finds the files, `class_list` reads names, roles and colours, `mask_values` turns any mask into
label ids, `coco` and `labelme` read `annotations`, `regions` paints them, `division` draws the lists, `report` says what was found, and
`parameters` has the keys of params.yaml.

`voc_instances` stands alone: it makes annotation files for ZSI of Pascal VOC's masks of objects.
"""
