"""SZN (Doshi, "Zero-Shot Semantic Segmentation", 2018): pixels in the space of class vectors, and a mask of seen pixels."""
