"""Files: the format of networks and trainings, its schema, and networks in other languages (ONNX, C)."""
