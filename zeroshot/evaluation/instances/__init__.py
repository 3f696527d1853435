"""Evaluation of detected instances: AP and recall of boxes and masks by pycocotools, over seen and unseen classes.

Open instance_metrics.py first. Any detector can be evaluated that writes the file of detections.py.
"""
