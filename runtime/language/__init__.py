"""Language: one analysis of text for all that reads questions, names things and tells times. Data in `lexicon.yaml`."""
