"""Where runs train: processes of this machine, slices of a GPU, HF Jobs, and the nodes of a Ray cluster."""
